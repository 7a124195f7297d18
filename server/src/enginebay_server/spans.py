"""What a trace tells of an answer, by OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Span, StatusCode
from opentelemetry.util.types import AttributeValue

from enginebay_server.admission import Admitted
from enginebay_server.answer import Answer
from enginebay_server.schema.common import GenerationFields
from enginebay_server.visit import NOTHING, Visit

OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""By endpoint."""

Attributes = Mapping[str, AttributeValue | None]


def tell(span: Span, visit: Visit, endpoint: str) -> None:
    """All that is known when the request ends; the span must not have ended before."""
    told = {**_of_visit(visit, endpoint), **visit.about()}
    span.set_attributes({name: value for name, value in told.items() if value is not None})
    if visit.status >= 500:
        span.set_attribute("error.type", str(visit.status))
        span.set_status(StatusCode.ERROR)


def about_answer(fields: GenerationFields, admitted: Admitted, answer: Answer) -> Attributes:
    """Numbers and names; no text of a prompt, an answer or a stop string."""
    sampling = admitted.sampling
    reasons = [choice.finish for choice in answer.choices if choice.finish]
    return {
        "gen_ai.request.model": fields.model,
        "gen_ai.request.stream": fields.stream,
        "gen_ai.request.max_tokens": admitted.max_tokens,
        "gen_ai.request.choice.count": admitted.n if admitted.n > 1 else None,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": sampling.top_k or None,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty or None,
        "gen_ai.request.presence_penalty": sampling.presence_penalty or None,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.finish_reasons": reasons or None,
        "gen_ai.usage.reasoning.output_tokens": answer.reasoning_tokens or None,
        "openai.response.system_fingerprint": answer.fingerprint,
    }


def _of_visit(visit: Visit, endpoint: str) -> Attributes:
    usage, first = visit.usage(), visit.first_token()
    told: dict[str, AttributeValue | None] = {"enginebay.request_id": visit.id}
    if visit.model:
        told["gen_ai.operation.name"] = OPERATIONS.get(endpoint)
        told["gen_ai.provider.name"] = "enginebay"
        told["gen_ai.request.model"] = visit.model
    if usage is not NOTHING:
        told["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        told["gen_ai.usage.output_tokens"] = usage.completion_tokens
        told["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if first is not None:
        told["gen_ai.response.time_to_first_chunk"] = first - visit.begun
    return told
