"""Is it alive, can it serve, what is it. Without detail, since two of these need no key."""

from __future__ import annotations

import importlib.metadata

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_server.reply import json_response
from enginebay_server.service import Service

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> Response:
    """200 while something can serve and every required model can; else 503."""
    if Service.of(request).models.healthy:
        return json_response({"status": "ok"})
    return json_response({"status": "unavailable"}, status=503)


@router.get("/livez")
async def livez() -> Response:
    """200 as long as the process answers."""
    return json_response({"status": "ok"})


@router.get("/version")
async def version() -> Response:
    return json_response({"version": importlib.metadata.version("enginebay-server")})
