"""How much one request may ask for, whatever it is for: by the names that all endpoints share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enginebay_core.api import JsonValue, RequestError
from enginebay_server.config import Bounds

_COUNTED: Final = {"messages": "messages", "tools": "tools", "stop": "stop_strings"}
_TOKENS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def check_bounds(body: Mapping[str, JsonValue], bounds: Bounds) -> None:
    """What has another type than its field is the schema's to refuse. Raises RequestError."""
    if len(body) > bounds.fields:
        raise RequestError(
            f"The request has {len(body)} fields; this server accepts at most {bounds.fields}."
        )
    for name, limit in _COUNTED.items():
        value = body.get(name)
        if isinstance(value, list):
            _require(name, len(value), getattr(bounds, limit), "has {} entries")
    items = body.get("input")
    if isinstance(items, list) and items and isinstance(items[0], dict):  # else inputs to embed
        _require("input", len(items), bounds.messages, "has {} entries")
    for name in _TOKENS:
        _require_number(name, body.get(name), bounds.max_tokens)
    _require_number("n", body.get("n"), bounds.choices)
    stop = body.get("stop")
    for text in stop if isinstance(stop, list) else [stop]:
        if isinstance(text, str):
            _require("stop", len(text), bounds.stop_length, "has a text of {} characters")


def _require_number(name: str, value: JsonValue, limit: int) -> None:
    if isinstance(value, int):
        _require(name, value, limit, "is {}")


def _require(name: str, size: int, limit: int, what: str) -> None:
    if size > limit:
        raise RequestError(
            f"{name} {what.format(size)}; this server accepts at most {limit}.", param=name
        )
