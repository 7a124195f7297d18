"""What a request asks that nobody here knows or does: refused by name, or named back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from enginebay_core.api import JsonValue, RequestError, UnsupportedField
from enginebay_core.placement import RunningModel
from enginebay_core.plugins.suggest import suggest
from enginebay_server.errors import quote
from enginebay_server.fields import CHAT_FIELDS, COMPLETION_FIELDS, KnownFields
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.common import GenerationFields
from enginebay_server.schema.part import RequestPart, UnknownName

MAX_NAMED: Final = 32
"""Ignored fields that the response header names; more are counted."""


def ignored_names(fields: GenerationFields, model: RunningModel, *, reject: bool) -> Iterator[str]:
    """Names that nobody knows, after everything known has been refused or found harmless."""
    known = CHAT_FIELDS if isinstance(fields, ChatRequest) else COMPLETION_FIELDS
    yield from unknown_names(fields, known, reject=reject)
    for name in _not_done(fields, model):
        if reject:
            raise UnsupportedField(f"{name} has no effect here; remove it.", param=name)
        yield name


def unknown_names(fields: RequestPart, known: KnownFields, *, reject: bool) -> Iterator[str]:
    """At any depth of a request. Raises RequestError for those that may not be ignored."""
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
    for unknown in fields.unknown_below:
        _refuse_below(unknown, reject=reject)
        yield unknown.kind


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


def _refuse_below(unknown: UnknownName, *, reject: bool) -> None:
    """Raises RequestError for a name, below the top, whose loss may make another question."""
    part, place = type(unknown.part), unknown.place
    if unknown.name in part.not_done:
        raise UnsupportedField(
            f"{place} is not supported: {part.not_done[unknown.name]}.", param=place
        )
    near = None if part.sent_back else suggest(unknown.name, part.known_names())
    refuse_unknown(place, near, reject=reject)


def header_list(names: tuple[str, ...]) -> str:
    """A header value: printable ASCII and bounded, whatever a client called its fields."""
    shown = [_ascii(name) for name in names[:MAX_NAMED]]
    if len(names) > MAX_NAMED:
        shown.append(f"and {len(names) - MAX_NAMED} more")
    return ", ".join(shown)


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != "," else "?" for c in name[:64])
