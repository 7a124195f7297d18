"""The endpoints."""

from enginebay_server.routes import chat, completions, health, home, models

ROUTERS = (home.router, health.router, models.router, chat.router, completions.router)

__all__ = ["ROUTERS"]
