"""The FastAPI app, without a server around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from enginebay_server.auth import RequireKey, load_keys
from enginebay_server.config import ServerSettings
from enginebay_server.handlers import add_handlers
from enginebay_server.models import ModelTable
from enginebay_server.routes import ROUTERS
from enginebay_server.service import Service


def build_app(settings: ServerSettings, models: ModelTable, base_url: str) -> FastAPI:
    """Models start loading when the app starts, and are closed when it stops. Raises ConfigError
    when a key is needed and none is set.
    """
    keys = load_keys(settings)
    app = FastAPI(
        title="EngineBay", docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=_lifespan
    )
    app.state.service = Service(settings, models, base_url, needs_key=bool(keys))
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    if keys:
        app.add_middleware(RequireKey, digests=keys)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    service: Service = app.state.service
    loading = asyncio.create_task(service.models.load())
    try:
        yield
    finally:
        loading.cancel()
        service.prompts.close()
        await asyncio.to_thread(service.models.close)
