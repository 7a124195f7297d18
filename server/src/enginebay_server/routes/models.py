"""``GET /v1/models``: what there is, and what each can do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from enginebay_core.placement import RunningModel
from enginebay_server.fields import NO_EFFECT
from enginebay_server.models import ModelEntry
from enginebay_server.parsers import Dialect
from enginebay_server.reply import json_response
from enginebay_server.service import Service
from enginebay_server.support import request_support

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> Response:
    """Every configured model, ready or not, and every alias."""
    entries = Service.of(request).models.entries.values()
    listed = [
        _card(entry, name) for entry in entries for name in (entry.name, *entry.config.aliases)
    ]
    return json_response({"object": "list", "data": listed})


@router.get("/v1/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> Response:
    """One model with its backend, limits, defaults, and the support of each request field."""
    entry = Service.of(request).models.entry(name)
    details = _details(entry.running, entry.dialect) if entry.running else {}
    if entry.fingerprint is not None:
        details["fingerprint"] = entry.fingerprint.told()
    return json_response({**_card(entry, name), **details})


def _card(entry: ModelEntry, name: str) -> dict[str, Any]:
    card: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": entry.created,
        "owned_by": "enginebay",
        "backend": entry.config.backend,
        "status": entry.state.value,
    }
    if entry.trouble is not None:
        card["reason"] = entry.trouble
    if name != entry.name:
        card["alias_of"] = entry.name
    if entry.running is not None:
        context = entry.running.generator.limits.context_length
        card |= {"context_length": context, "max_model_len": context}
    return card


def _details(model: RunningModel, dialect: Dialect) -> dict[str, Any]:
    return {
        "capabilities": request_support(model, dialect),
        "parsers": dialect.names(),
        "cannot_be_combined": [list(pair) for pair in model.capabilities.forbidden],
        "without_effect": sorted(NO_EFFECT),
        "template": asdict(model.template),
        "defaults": model.defaults.model_dump(exclude_none=True),
        "facts": dict(model.generator.limits.facts),
        **_embedding(model),
    }


def _embedding(model: RunningModel) -> dict[str, Any]:
    """Of a model that makes vectors."""
    if model.embeddings is None:
        return {}
    spec = model.embeddings.spec
    return {
        "embedding": {
            "dimensions": spec.dimensions,
            "dimensions_can_be_lowered": spec.shrinkable,
            "normalized": spec.normalize,
        }
    }
