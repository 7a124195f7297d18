"""``POST /v1/responses``, which keeps nothing, and what would need a kept response."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.api import JsonValue
from enginebay_server.admission import Admitted
from enginebay_server.answer import Answer
from enginebay_server.auth import tenant_of
from enginebay_server.body import read_body
from enginebay_server.errors import ResponseNotKept, quote
from enginebay_server.presence import while_connected
from enginebay_server.reply import reply
from enginebay_server.responses import ChatTurn, ResponseBody, ResponseShape, chat_turn
from enginebay_server.routes.chat import begin_chat
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.reading import read
from enginebay_server.schema.responses import ResponseRequest
from enginebay_server.service import Service

router = APIRouter()


@router.post("/v1/responses", openapi_extra=json_body(ResponseRequest))
async def create_response(request: Request) -> Response:
    """The model's answer to the input, at once or as a stream of events."""
    service = Service.of(request)
    settings = service.settings
    reject = settings.unknown_fields == "reject"

    def take(body: Mapping[str, JsonValue]) -> tuple[ResponseRequest, ChatTurn]:
        fields = read(ResponseRequest, body)
        return fields, chat_turn(fields, reject_unknown=reject)

    fields, turn = await read_body(request, take)
    with turn.names.spoken():
        service.reserve(request, turn.fields.model, turn.fields.n)
        begun = _begin(turn, service, tenant_of(request))
        admitted, answer = await while_connected(request, begun)
        service.note_ignored(admitted.ignored)
        shape = ResponseShape(ResponseBody(fields, admitted, answer))
        return await reply(
            request, turn.fields, admitted, answer, shape, keep_alive=settings.keep_alive_seconds
        )


async def _begin(turn: ChatTurn, service: Service, tenant: str) -> tuple[Admitted, Answer]:
    """As a chat, under an id and with names of its own."""
    admitted, answer = await begin_chat(turn.fields, service, tenant)
    ignored = (*turn.ignored, *map(turn.names.of, admitted.ignored))
    return replace(admitted, ignored=ignored), replace(answer, id=f"resp_{uuid.uuid4().hex}")


@router.get("/v1/responses/{response_id}")
@router.delete("/v1/responses/{response_id}")
@router.get("/v1/responses/{response_id}/input_items")
@router.post("/v1/responses/{response_id}/cancel")
async def find_response(response_id: str) -> Response:
    """There is none: nothing is kept."""
    raise ResponseNotKept(
        f"There is no response {quote(response_id)}: this server keeps none. Each is whole in the "
        "answer to the request that made it; send its items in input to go on from it."
    )
