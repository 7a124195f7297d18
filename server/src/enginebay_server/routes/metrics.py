"""``GET /metrics``, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from enginebay_server.service import Service

router = APIRouter()


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """In Prometheus' text format, or OpenMetrics where the scraper asks for it."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    text = encode(Service.of(request).registry)
    return Response(text, headers={"content-type": media_type})
