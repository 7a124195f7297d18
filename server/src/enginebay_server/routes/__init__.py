"""The endpoints."""

from enginebay_server.routes import (
    chat,
    completions,
    embeddings,
    explain,
    health,
    home,
    metrics,
    models,
    responses,
    tokens,
)

ROUTERS = (
    home.router,
    health.router,
    metrics.router,
    models.router,
    chat.router,
    completions.router,
    responses.router,
    embeddings.router,
    tokens.router,
    explain.router,
)

__all__ = ["ROUTERS"]
