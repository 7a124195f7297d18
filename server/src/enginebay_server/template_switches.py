"""The chat template's own variables, as far as a client may set them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from enginebay_core.api import JsonValue, RequestError, UnsupportedField
from enginebay_core.text import TemplateFacts
from enginebay_server.errors import quote
from enginebay_server.schema.chat import ChatRequest

THINKING: Final = "chat_template_kwargs.enable_thinking"
WITHOUT_THINKING: Final = ("none", "minimal")
"""Efforts that are too small to think aloud."""


def switches_of(
    fields: ChatRequest, template: TemplateFacts, allowed: Collection[str]
) -> Mapping[str, JsonValue]:
    """``allowed`` are those that the operator lets clients set. Raises RequestError for the others
    and for those that contradict each other.
    """
    switches: dict[str, JsonValue] = {}
    sent = fields.chat_template_kwargs
    for name, value in ((sent.model_extra or {}) if sent else {}).items():
        if value is None:
            continue
        _require_allowed(name, allowed)
        switches[name] = value
    thinking = _thinking(fields, template)
    return switches if thinking is None else {**switches, "enable_thinking": thinking}


def _thinking(fields: ChatRequest, template: TemplateFacts) -> bool | None:
    """Whether to think aloud; None: as the template does by itself."""
    sent = fields.chat_template_kwargs
    switch = sent.enable_thinking if sent else None
    effort = fields.reasoning_effort
    by_effort = None if effort is None else effort not in WITHOUT_THINKING
    for param, wanted in ((THINKING, switch), ("reasoning_effort", by_effort)):
        if wanted is not None and not template.thinking:
            raise UnsupportedField(
                f"{param}: this model's chat template has no switch for thinking; remove it.",
                param=param,
            )
    if switch is not None and by_effort not in (None, switch):
        raise RequestError(
            f"reasoning_effort is {effort!r} and {THINKING} is {switch}; send one of them.",
            param="reasoning_effort",
        )
    return by_effort if switch is None else switch


def _require_allowed(name: str, allowed: Collection[str]) -> None:
    if name not in allowed:
        param = f"chat_template_kwargs.{name[:80]}"
        raise UnsupportedField(
            f"chat_template_kwargs has {quote(name)}, which clients of this model may not set; "
            "remove it.",
            param=param,
        )
