"""``POST /tokenize``, ``/detokenize`` and ``/render``: what a model would be shown, without asking
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.api import JsonValue, Prompt, RequestError
from enginebay_server.body import read_body
from enginebay_server.fields import KnownFields
from enginebay_server.prepared import prepare_chat
from enginebay_server.presence import while_connected
from enginebay_server.prompt import Encoding
from enginebay_server.reply import encoded
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.part import RequestPart
from enginebay_server.schema.reading import read
from enginebay_server.schema.tokens import DetokenizeRequest, RenderRequest, TokenizeRequest
from enginebay_server.service import Service
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
    service.reserve_lookup(request)
    if isinstance(fields, RenderRequest):
        prompt, ignored = await while_connected(request, _render(fields, service))
        counted = await _counted(prompt.ids, fields, service)
        return await _told(counted, len(prompt.ids), ignored, service)
    ignored = _ignored(fields, service)
    ids = await while_connected(request, _encode(fields, service))
    return await _told(await _counted(ids, fields, service), len(ids), ignored, service)


@router.post("/detokenize", openapi_extra=json_body(DetokenizeRequest))
async def detokenize(request: Request) -> Response:
    """The text of ids, control tokens by their own text."""
    service = Service.of(request)
    fields = await read_body(request, lambda body: read(DetokenizeRequest, _named(body, service)))
    service.reserve_lookup(request)
    ignored = _ignored(fields, service)
    model = service.models.running(fields.model)
    text = await while_connected(
        request, service.lookups.prompts.spell(fields.tokens, model, "tokens")
    )
    both = {"prompt": text, "content": text}
    return await _told(both, len(fields.tokens), ignored, service)


@router.post("/render", openapi_extra=json_body(RenderRequest))
async def render(request: Request) -> Response:
    """What the model would be shown of a chat: the template's text, and its ids."""
    service = Service.of(request)
    fields = await read_body(request, lambda body: read(RenderRequest, _named(body, service)))
    service.reserve_lookup(request)
    prompt, ignored = await while_connected(request, _render(fields, service))
    shown = {"prompt": prompt.text, **await _counted(prompt.ids, fields, service)}
    return await _told(shown, len(prompt.ids), ignored, service)


def _named(body: Mapping[str, JsonValue], service: Service) -> Mapping[str, JsonValue]:
    """Where there is one model, nobody needs to name it."""
    names = list(service.models.entries)
    unnamed = body.get("model") is None and len(names) == 1
    return {**body, "model": names[0]} if unnamed else body


def _text_or_chat(body: Mapping[str, JsonValue]) -> TokenizeRequest | RenderRequest:
    present = {name for name, value in body.items() if value is not None}
    is_chat = "messages" in present and present.isdisjoint({"prompt", "content"})
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
    return await service.lookups.prompts.encode(fields.text, model, encoding, place)


async def _render(fields: RenderRequest, service: Service) -> tuple[Prompt, tuple[str, ...]]:
    """As a chat does it, every refusal included; and the names of fields without effect."""
    ready = await prepare_chat(
        fields,
        service.models.running(fields.model),
        service.models.dialect(fields.model),
        service.lookups.prompts,
        reject_unknown=service.settings.unknown_fields == "reject",
        opens_turn=fields.add_generation_prompt,
    )
    return ready.prompt, ready.admitted.ignored


async def _counted(
    ids: tuple[int, ...], fields: TokenizeRequest | RenderRequest, service: Service
) -> dict[str, Any]:
    model = service.models.running(fields.model)
    named = fields.return_token_strs
    return {
        "count": len(ids),
        "max_model_len": model.generator.limits.context_length,
        "tokens": list(ids),
        "token_strs": await service.lookups.prompts.names(ids, model) if named else None,
    }


def _ignored(fields: RequestPart, service: Service) -> tuple[str, ...]:
    reject = service.settings.unknown_fields == "reject"
    return tuple(unknown_names(fields, KNOWN_FIELDS, reject=reject))


async def _told(
    body: dict[str, Any], tokens: int, ignored: tuple[str, ...], service: Service
) -> Response:
    service.note_ignored(ignored)
    headers = {"x-enginebay-ignored": header_list(ignored)} if ignored else {}
    return Response(await encoded(lambda: body, tokens), 200, headers, "application/json")
