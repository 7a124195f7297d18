"""``POST /v1/embeddings``: a vector of each input."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.api import EngineError, UnsupportedField, Usage
from enginebay_core.engine import Embeddings
from enginebay_server.body import read_body
from enginebay_server.fields import KnownFields
from enginebay_server.presence import while_connected
from enginebay_server.prompt import Encoding
from enginebay_server.routes.describe import json_body
from enginebay_server.schema.embeddings import EmbeddingRequest
from enginebay_server.schema.reading import read
from enginebay_server.service import Service
from enginebay_server.unheeded import header_list, unknown_names
from enginebay_server.vectors import check_dimensions, embedding_list
from enginebay_server.visit import Visit

_SHORTEN: Final = "shorten the input yourself"
_INSTRUCT: Final = "put the instruction into the input, as the model's card says"

KNOWN_FIELDS: Final = KnownFields(
    refused={},
    elsewhere={
        **dict.fromkeys(("truncate", "truncate_prompt_tokens"), _SHORTEN),
        **dict.fromkeys(("input_type", "task", "prompt_name", "instruction"), _INSTRUCT),
        **dict.fromkeys(("prompt", "messages", "content", "texts"), "use input"),
        "normalize": "the model's own recipe decides",
        "add_special_tokens": "send token ids, which stay as they are",
        "output_dimension": "use dimensions",
    },
    without_effect=frozenset({"user"}),
)
ENCODING: Final = Encoding(control=False, closed=True)
"""As the tokenizer frames a text by itself; what a text spells stays text."""

router = APIRouter()


@router.post("/v1/embeddings", openapi_extra=json_body(EmbeddingRequest))
async def create_embeddings(request: Request) -> Response:
    """One vector per input, in their order."""
    service = Service.of(request)
    fields = await read_body(request, partial(read, EmbeddingRequest))
    embeddings = _embeddings(fields.model, service)
    check_dimensions(fields.dimensions, embeddings.spec)
    reject = service.settings.unknown_fields == "reject"
    ignored = tuple(unknown_names(fields, KNOWN_FIELDS, reject=reject))
    service.reserve(request, fields.model, 1)
    inputs = await while_connected(request, _encode(fields, service))
    tokens = sum(map(len, inputs))
    Visit.of(request).usage = lambda: Usage(tokens, 0)
    vectors = await while_connected(request, embeddings.embed(inputs))
    _require_finite(vectors)
    service.note_ignored(ignored)
    name = service.models.entry(fields.model).name
    answer = await asyncio.to_thread(embedding_list, fields, name, vectors, embeddings.spec, tokens)
    headers = {"x-enginebay-ignored": header_list(ignored)} if ignored else {}
    return Response(answer, 200, headers, "application/json")


def _embeddings(name: str, service: Service) -> Embeddings:
    """Raises RequestError, which names the models that can, for one that cannot."""
    model = service.models.running(name)
    if model.embeddings is not None:
        return model.embeddings
    loaded = [entry.running for entry in service.models.entries.values() if entry.running]
    able = [repr(other.name) for other in loaded if other.embeddings is not None]
    there = f"those here that do: {', '.join(able)}" if able else "no model here does"
    raise UnsupportedField(
        f"Model {model.name!r} makes text and no embeddings; {there}.", param="model"
    )


async def _encode(fields: EmbeddingRequest, service: Service) -> list[tuple[int, ...]]:
    model = service.models.running(fields.model)
    return [
        await service.prompts.encode(one, model, ENCODING, place)
        for one, place in zip(fields.inputs, fields.places, strict=True)
    ]


def _require_finite(vectors: list[npt.NDArray[np.float32]]) -> None:
    """JSON has no infinity, and no NaN."""
    if not all(bool(np.isfinite(vector).all()) for vector in vectors):
        raise EngineError("the engine made a vector with a component that is no number")
