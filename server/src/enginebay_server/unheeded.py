"""What a request asks that nobody here knows or does: refused by name, or named back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from enginebay_core.api import JsonValue, RequestError, UnsupportedField
from enginebay_core.placement import RunningModel
from enginebay_core.plugins.suggest import suggest
from enginebay_server.errors import quote
from enginebay_server.fields import KNOWN_FIELDS, KnownFields
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.common import GenerationFields
from enginebay_server.schema.response_format import (
    JsonSchemaFormat,
    NamedSchema,
    ResponseFormat,
)

MAX_NAMED: Final = 32
"""Ignored fields that the response header names; more are counted."""


def ignored_names(fields: GenerationFields, model: RunningModel, *, reject: bool) -> Iterator[str]:
    """Names that nobody knows, after everything known has been refused or found harmless."""
    yield from unknown_names(fields, KNOWN_FIELDS, reject=reject)
    for name in _nested_unknown(fields):
        refuse_unknown(name, None, reject=reject)
        yield name
    for name in _not_done(fields, model):
        if reject:
            raise UnsupportedField(f"{name} has no effect here; remove it.", param=name)
        yield name


def unknown_names(fields: BaseModel, known: KnownFields, *, reject: bool) -> Iterator[str]:
    """Those at the top of a request. Raises RequestError for those that may not be ignored."""
    names = [
        *type(fields).model_fields,
        *known.refused,
        *known.without_effect,
        *known.elsewhere,
    ]
    for name, value in (fields.model_extra or {}).items():
        harmless = value is None or name in known.without_effect
        if harmless or _refuse_known(name, value, known):
            continue
        refuse_unknown(name, suggest(name, names), reject=reject)
        yield name


def _not_done(fields: GenerationFields, model: RunningModel) -> Iterator[str]:
    """Known names that clients send by habit, and whose loss does not make another question."""
    if not isinstance(fields, ChatRequest):
        return
    if not model.template.reasoning and any(message.thinking for message in fields.messages):
        yield "messages[].reasoning_content"


def _refuse_known(name: str, value: JsonValue, known: KnownFields) -> bool:
    """True for a known field that asks for nothing. Raises for one that asks for something."""
    refusal = known.refused.get(name)
    if refusal and refusal.asks_for_nothing(value):
        return True
    reason = refusal.reason if refusal else known.elsewhere.get(name)
    if reason:
        raise UnsupportedField(f"{name} is not supported: {reason}.", param=name)
    return False


def refuse_unknown(name: str, near: str | None, *, reject: bool) -> None:
    """Raises RequestError where the name is near a known one, or the server takes no others."""
    if near is not None:
        raise RequestError(
            f"{quote(name)} is no field of this request; did you mean {near!r}?",
            param=name[:80],
            code="unknown_parameter",
        )
    if reject:
        raise RequestError(
            f"{quote(name)} is no field of this request; remove it.",
            param=name[:80],
            code="unknown_parameter",
        )


def _nested_unknown(fields: GenerationFields) -> Iterator[str]:
    if fields.stream_options is not None:
        extra = set(fields.stream_options.model_extra or {}) - {"include_obfuscation"}
        yield from (f"stream_options.{name}" for name in sorted(extra))
    if isinstance(fields, ChatRequest):
        yield from _format_unknown(fields.response_format)
        for index, message in enumerate(fields.messages):
            yield from _message_unknown(index, message.model_extra or {})


def _format_unknown(wanted: ResponseFormat | None) -> Iterator[str]:
    """A schema that is lost makes another question, so what may be one is refused."""
    extra = dict(wanted.model_extra or {}) if wanted is not None else {}
    if extra.get("schema") is not None:
        raise UnsupportedField(
            "response_format.schema is not supported: a schema belongs into "
            "response_format.json_schema.schema, beside the type 'json_schema'.",
            param="response_format.schema",
        )
    yield from (f"response_format.{name}" for name in sorted(extra))
    if isinstance(wanted, JsonSchemaFormat):
        known = [field.alias or name for name, field in NamedSchema.model_fields.items()]
        place = "response_format.json_schema"
        for name in sorted(wanted.json_schema.model_extra or {}):
            near = suggest(name, known)
            refuse_unknown(f"{place}.{name}", near and f"{place}.{near}", reject=False)
            yield f"{place}.{name}"


def _message_unknown(index: int, extra: Mapping[str, Any]) -> Iterator[str]:
    """Notes that clients send back from earlier answers are harmless; the rest is not known."""
    for name, value in extra.items():
        if value is None or value == [] or name in ("refusal", "annotations"):
            continue
        if name in ("function_call", "audio", "prefix", "images"):
            param = f"messages[{index}].{name}"
            raise UnsupportedField(f"{param} is not supported; remove it.", param=param)
        yield f"messages[].{name}"


def header_list(names: tuple[str, ...]) -> str:
    """A header value: printable ASCII and bounded, whatever a client called its fields."""
    shown = [_ascii(name) for name in names[:MAX_NAMED]]
    if len(names) > MAX_NAMED:
        shown.append(f"and {len(names) - MAX_NAMED} more")
    return ", ".join(shown)


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != "," else "?" for c in name[:64])
