"""A JSON object to a request model; what does not fit becomes a RequestError with a param."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from enginebay_core.api import JsonValue, RequestError
from enginebay_server.errors import quote
from enginebay_server.schema.part import RequestPart

ModelT = TypeVar("ModelT", bound=RequestPart)

_TAGS: Final = frozenset({"text", "parts", "texts", "ids", "id_lists", "mode", "named"})
_MEANS_ABSENT: Final = ("tools", "functions", "stop")

_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bool_type": "it should be true or false",
        "int_type": "it should be an integer",
        "float_type": "it should be a number",
        "string_type": "it should be a string",
        "list_type": "it should be a list",
        "dict_type": "it should be an object",
        "model_type": "it should be an object",
        "string_too_short": "it should have at least {min_length} characters",
        "string_too_long": "it should have at most {max_length} characters",
        "string_pattern_mismatch": "it should match the pattern {pattern}",
        "too_long": "it should have at most {max_length} entries",
    }
)
"""Pydantic speaks of Python's types, and of our classes."""


def read(model: type[ModelT], body: Mapping[str, JsonValue]) -> ModelT:
    """An empty list of tools, functions or stops means that the field is absent, as ``null`` does.

    Raises RequestError about the first field that does not fit.
    """
    present = {
        name: value for name, value in body.items() if not (name in _MEANS_ABSENT and value == [])
    }
    try:
        fields = model.model_validate(present)
    except ValidationError as error:
        raise _request_error(error) from None
    _ = fields.unknown_below  # found here, where a long body is read off the event loop
    return fields


def _request_error(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False)[0]
    param = param_of(first["loc"])
    if first["type"] == "missing":
        return RequestError(f"{param} is missing.", param=param, code="missing_required_parameter")
    if first["type"] == "extra_forbidden":
        return RequestError(f"{param} is not accepted; remove it.", param=param)
    if first["type"] == "too_short" and not first["input"]:
        return RequestError(f"{param} is empty; it needs at least 1 item.", param=param)
    if first["type"] == "string_too_short" and not first["input"]:
        return RequestError(f"{param} is empty.", param=param)
    return RequestError(f"{param} is {quote(first['input'])}: {_rule(first)}.", param=param)


def _rule(error: ErrorDetails) -> str:
    """What the field should be, in words of JSON."""
    words = _RULES.get(error["type"])
    if words is not None:
        return words.format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def param_of(loc: tuple[int | str, ...]) -> str:
    """``("messages", 0, "content")`` as ``messages[0].content``; union tags are left out, as are
    those that say so by a colon.
    """
    text = ""
    for index, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        elif not (part.startswith(":") or (part in _TAGS and index and _is_tag(loc, index))):
            text += f".{part}" if text else _shown(part)
    return text


def _is_tag(loc: tuple[Any, ...], index: int) -> bool:
    """Tags follow these fields; a part's own ``text`` follows its index."""
    return loc[index - 1] in ("content", "prompt", "tool_choice")


def _shown(name: str) -> str:
    return name if len(name) <= 80 else name[:80] + "…"
