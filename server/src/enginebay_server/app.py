"""The FastAPI app, without a server around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from enginebay_server.auth import KeyRing
from enginebay_server.config import ServerSettings
from enginebay_server.cors import Cors
from enginebay_server.gate import Gate
from enginebay_server.handlers import add_handlers
from enginebay_server.models import ModelTable
from enginebay_server.routes import ROUTERS
from enginebay_server.routes.describe import ERRORS
from enginebay_server.routes.head import heads_of
from enginebay_server.service import Service
from enginebay_server.tracing import open_tracing


def build_app(settings: ServerSettings, models: ModelTable, base_url: str) -> FastAPI:
    """Models start loading when the app starts, and are closed when it stops. Raises ConfigError
    when a key is needed and none is set, or what traces need is not installed.
    """
    keys = KeyRing(settings)
    tracing = open_tracing(settings.otlp_endpoint)
    app = FastAPI(
        telemetry=tracing.config,
        title="EngineBay",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=ERRORS,
    )
    app.state.tracing = tracing
    service = app.state.service = Service(settings, models, base_url, keys)
    for router in (*ROUTERS, heads_of(ROUTERS)):
        app.include_router(router)
    add_handlers(app)
    app.add_middleware(Gate, settings=settings, keys=keys, meters=service.meters)
    if settings.cors_origins:
        app.add_middleware(
            Cors,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    service: Service = app.state.service
    loading = asyncio.create_task(service.models.load())
    try:
        yield
    finally:
        loading.cancel()
        service.close()
        await asyncio.to_thread(service.models.close)
        await asyncio.to_thread(app.state.tracing.close)
