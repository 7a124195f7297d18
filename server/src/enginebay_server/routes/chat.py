"""``POST /v1/chat/completions``: the way of a request."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_server.admission import Admitted, fit
from enginebay_server.answer import Answer, chat_choice, new_id
from enginebay_server.auth import tenant_of
from enginebay_server.body import read_body
from enginebay_server.frames import ChatShape
from enginebay_server.prepared import prepare_chat
from enginebay_server.presence import while_connected
from enginebay_server.reply import reply
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.reading import read
from enginebay_server.service import Service

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatRequest))
async def create_chat_completion(request: Request) -> Response:
    """The assistant's next turn, at once or as a stream."""
    service = Service.of(request)
    fields = await read_body(request, partial(read, ChatRequest))
    service.reserve(request, fields.model, fields.n)
    begun = begin_chat(fields, service, tenant_of(request))
    admitted, answer = await while_connected(request, begun)
    service.note_ignored(admitted.ignored)
    return await reply(
        request,
        fields,
        admitted,
        answer,
        ChatShape(answer),
        keep_alive=service.settings.keep_alive_seconds,
    )


async def begin_chat(fields: ChatRequest, service: Service, tenant: str) -> tuple[Admitted, Answer]:
    """Everything before the engine starts; no work of its is wasted on a bad request."""
    model, dialect = service.models.running(fields.model), service.models.dialect(fields.model)
    settings = service.settings
    reject = settings.unknown_fields == "reject"
    ready = await prepare_chat(fields, model, dialect, service.prompts, reject_unknown=reject)
    admitted, tools, prompt = ready.admitted, ready.tools, ready.prompt.ids
    runs = fit(
        admitted,
        prompt,
        model,
        longest=settings.default_max_tokens,
        param="messages",
        tenant=tenant,
    )
    choices = tuple(
        chat_choice(index, model, admitted.stop, run, dialect=dialect, calls=tools.calls)
        for index, run in enumerate(map(tools.constrain, runs))
    )
    fingerprint = service.models.fingerprint(fields.model)
    return admitted, Answer(new_id("chatcmpl"), model.name, len(prompt), choices, fingerprint)
