"""``POST /explain``: what happens between a chat's messages and its answer."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_server.auth import tenant_of
from enginebay_server.body import read_body
from enginebay_server.explain import begin_walk
from enginebay_server.frames import dumps
from enginebay_server.presence import while_connected
from enginebay_server.reply import follow
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.explain import ExplainRequest
from enginebay_server.schema.reading import read
from enginebay_server.service import Service

router = APIRouter()


@router.post("/explain", openapi_extra=json_body(ExplainRequest))
async def explain(request: Request) -> Response:
    """The request is answered, and every stop of its way told."""
    service = Service.of(request)
    body, fields = await read_body(request, lambda body: (body, read(ExplainRequest, body)))
    service.reserve(request, fields.model, fields.n)
    walk = await while_connected(
        request,
        begin_walk(
            fields,
            service.models.running(fields.model),
            service.models.dialect(fields.model),
            service.prompts,
            reject_unknown=service.settings.unknown_fields == "reject",
            tenant=tenant_of(request),
        ),
    )
    follow(request, walk.answer)
    way = await while_connected(request, walk.finish(body))
    service.note_ignored(walk.admitted.ignored)
    text = await asyncio.to_thread(lambda: dumps(way.as_json()))
    return Response(text, headers=walk.admitted.headers, media_type="application/json")
