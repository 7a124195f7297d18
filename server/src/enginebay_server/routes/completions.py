"""``POST /v1/completions``: a prompt without a template."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.api import GenerationRequest, RequestError, UnsupportedField
from enginebay_server.admission import Admitted, admit, fit
from enginebay_server.answer import Answer, new_id, plain_choice
from enginebay_server.auth import tenant_of
from enginebay_server.body import read_body
from enginebay_server.frames import CompletionShape
from enginebay_server.presence import while_connected
from enginebay_server.prompt import Encoding
from enginebay_server.reply import reply
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.completions import CompletionRequest
from enginebay_server.schema.reading import read
from enginebay_server.service import Service

DEFAULT_MAX_TOKENS = 16
"""OpenAI's, for this endpoint."""

router = APIRouter()


@router.post("/v1/completions", openapi_extra=json_body(CompletionRequest))
async def create_completion(request: Request) -> Response:
    """What follows each prompt, at once or as a stream."""
    service = Service.of(request)
    fields = await read_body(request, partial(read, CompletionRequest))
    _require_few(fields, service.settings.limits.choices)
    service.reserve(request, fields.model, fields.choices)
    begun = _begin(fields, service, tenant_of(request))
    admitted, answer, echoes = await while_connected(request, begun)
    service.note_ignored(admitted.ignored)
    return await reply(
        request,
        fields,
        admitted,
        answer,
        CompletionShape(answer, echoes),
        keep_alive=service.settings.keep_alive_seconds,
    )


async def _begin(
    fields: CompletionRequest, service: Service, tenant: str
) -> tuple[Admitted, Answer, tuple[str, ...]]:
    """The choices of the first prompt, then those of the second, as OpenAI numbers them; and the
    text that each begins with, where the prompt is to be echoed.
    """
    model = service.models.running(fields.model)
    reject = service.settings.unknown_fields == "reject"
    admitted = admit(fields, model, reject_unknown=reject)
    _require_no_prompt_logprobs(fields)
    control = service.models.entry(fields.model).config.control_in_prompts
    encoding = Encoding(control=control, framed=fields.add_special_tokens)
    runs: list[GenerationRequest] = []
    echoes: list[str] = []
    prompt_tokens = 0
    for text, place in zip(fields.prompts, fields.places, strict=True):
        prompt = await service.prompts.encode(text, model, encoding, place)
        prompt_tokens += len(prompt)
        runs += fit(admitted, prompt, model, longest=DEFAULT_MAX_TOKENS, param=place, tenant=tenant)
        if fields.echo:
            shown = text if isinstance(text, str) else None
            shown = shown or await service.prompts.spell(list(prompt), model, place)
            echoes += [shown] * fields.n
    choices = (plain_choice(i, model, admitted.stop, run) for i, run in enumerate(runs))
    fingerprint = service.models.fingerprint(fields.model)
    answer = Answer(new_id("cmpl"), model.name, prompt_tokens, tuple(choices), fingerprint)
    return admitted, answer, tuple(echoes)


def _require_no_prompt_logprobs(fields: CompletionRequest) -> None:
    if fields.echo and fields.logprobs is not None:
        raise UnsupportedField(
            "logprobs is not supported together with echo: only the answer's own tokens have log "
            "probabilities; drop one of the two.",
            param="logprobs",
        )


def _require_few(fields: CompletionRequest, limit: int) -> None:
    if fields.choices > limit:
        raise RequestError(
            f"{fields.choices} choices were asked for, n for each prompt; this server makes at "
            f"most {limit} at once.",
            param="n" if fields.n > 1 else "prompt",
        )
