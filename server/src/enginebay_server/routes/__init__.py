"""The endpoints."""

from enginebay_server.routes import chat, completions, health, home, models, responses

ROUTERS = (
    home.router,
    health.router,
    models.router,
    chat.router,
    completions.router,
    responses.router,
)

__all__ = ["ROUTERS"]
