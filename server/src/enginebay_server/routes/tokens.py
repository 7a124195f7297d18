"""``POST /tokenize``, ``/detokenize`` and ``/render``: what a model would be shown, without asking
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.api import Conversation, JsonValue, Prompt, RequestError
from enginebay_server.admission import admit
from enginebay_server.body import read_body
from enginebay_server.conversation import conversation_of
from enginebay_server.fields import KnownFields
from enginebay_server.presence import while_connected
from enginebay_server.prompt import Encoding
from enginebay_server.reply import json_response
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.reading import read
from enginebay_server.schema.tokens import DetokenizeRequest, RenderRequest, TokenizeRequest
from enginebay_server.service import Service
from enginebay_server.tools import tool_use
from enginebay_server.unheeded import header_list, unknown_names

KNOWN_FIELDS: Final = KnownFields(
    refused={},
    elsewhere={
        "with_pieces": "use return_token_strs",
        "add_special": "use add_special_tokens",
        "messages": "send a chat without prompt and content",
    },
    without_effect=frozenset({"user"}),
)

router = APIRouter()


@router.post("/tokenize", openapi_extra=json_body(TokenizeRequest, RenderRequest))
async def tokenize(request: Request) -> Response:
    """The ids of a text, as ``/v1/completions`` would run it, or of a chat."""
    service = Service.of(request)
    fields = await read_body(request, lambda body: _text_or_chat(_named(body, service)))
    if isinstance(fields, RenderRequest):
        prompt, ignored = await while_connected(request, _render(fields, service))
        return _told(await _counted(prompt.ids, fields, service), ignored, service)
    ignored = _ignored(fields, service)
    ids = await while_connected(request, _encode(fields, service))
    return _told(await _counted(ids, fields, service), ignored, service)


@router.post("/detokenize", openapi_extra=json_body(DetokenizeRequest))
async def detokenize(request: Request) -> Response:
    """The text of ids, control tokens by their own text."""
    service = Service.of(request)
    fields = await read_body(request, lambda body: read(DetokenizeRequest, _named(body, service)))
    ignored = _ignored(fields, service)
    model = service.models.running(fields.model)
    text = await while_connected(request, service.prompts.spell(fields.tokens, model, "tokens"))
    return _told({"prompt": text, "content": text}, ignored, service)


@router.post("/render", openapi_extra=json_body(RenderRequest))
async def render(request: Request) -> Response:
    """What the model would be shown of a chat: the template's text, and its ids."""
    service = Service.of(request)
    fields = await read_body(request, lambda body: read(RenderRequest, _named(body, service)))
    prompt, ignored = await while_connected(request, _render(fields, service))
    shown = {"prompt": prompt.text, **await _counted(prompt.ids, fields, service)}
    return _told(shown, ignored, service)


def _named(body: Mapping[str, JsonValue], service: Service) -> Mapping[str, JsonValue]:
    """Where there is one model, nobody needs to name it."""
    names = list(service.models.entries)
    return {"model": names[0], **body} if len(names) == 1 else body


def _text_or_chat(body: Mapping[str, JsonValue]) -> TokenizeRequest | RenderRequest:
    is_chat = "messages" in body and body.keys().isdisjoint({"prompt", "content"})
    return read(RenderRequest, body) if is_chat else read(TokenizeRequest, body)


async def _encode(fields: TokenizeRequest, service: Service) -> tuple[int, ...]:
    model = service.models.running(fields.model)
    if fields.text is None:
        raise RequestError(
            "prompt is missing; send a text as prompt, or a chat as messages.",
            param="prompt",
            code="missing_required_parameter",
        )
    control = fields.parse_special
    if control is None:
        control = service.models.entry(fields.model).config.control_in_prompts
    encoding = Encoding(control=control, framed=fields.add_special_tokens)
    place = "prompt" if fields.content is None else "content"
    return await service.prompts.encode(fields.text, model, encoding, place)


async def _render(fields: RenderRequest, service: Service) -> tuple[Prompt, tuple[str, ...]]:
    """As a chat does it, every refusal included; and the names of fields without effect."""
    model = service.models.running(fields.model)
    reject = service.settings.unknown_fields == "reject"
    admitted = admit(fields, model, reject_unknown=reject)
    dialect = service.models.dialect(fields.model)
    tools = tool_use(fields, model, dialect)
    admitted = admitted.without(tools.unheeded, reject=reject)

    def converse() -> Conversation:
        conversation = conversation_of(fields, model.template, dialect, tools)
        return replace(conversation, opens_turn=fields.add_generation_prompt)

    return await service.prompts.show(converse, model), admitted.ignored


async def _counted(
    ids: tuple[int, ...], fields: TokenizeRequest | RenderRequest, service: Service
) -> dict[str, Any]:
    model = service.models.running(fields.model)
    named = fields.return_token_strs
    return {
        "count": len(ids),
        "max_model_len": model.generator.limits.context_length,
        "tokens": ids,
        "token_strs": await service.prompts.names(ids, model) if named else None,
    }


def _ignored(fields: BaseModel, service: Service) -> tuple[str, ...]:
    reject = service.settings.unknown_fields == "reject"
    return tuple(unknown_names(fields, KNOWN_FIELDS, reject=reject))


def _told(body: dict[str, Any], ignored: tuple[str, ...], service: Service) -> Response:
    service.note_ignored(ignored)
    headers = {"x-enginebay-ignored": header_list(ignored)} if ignored else {}
    return json_response(body, headers=headers)
