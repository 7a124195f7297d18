"""From the ids of an answer to the parts of an OpenAI message."""

from enginebay_server.parsers.call_form import NO_PARAMETERS, CallForm, Offered
from enginebay_server.parsers.dialect import (
    TOOL_PARSERS,
    CallReading,
    Dialect,
    check_parsers,
    choose_dialect,
    open_reader,
)
from enginebay_server.parsers.parts import CallPart, Part, PartsReader, joined
from enginebay_server.parsers.plain import PlainReader
from enginebay_server.parsers.reasoning import PAIRS, ReasoningReader, ThinkingTags, thinking_tags

__all__ = [
    "NO_PARAMETERS",
    "PAIRS",
    "TOOL_PARSERS",
    "CallForm",
    "CallPart",
    "CallReading",
    "Dialect",
    "Offered",
    "Part",
    "PartsReader",
    "PlainReader",
    "ReasoningReader",
    "ThinkingTags",
    "check_parsers",
    "choose_dialect",
    "joined",
    "open_reader",
    "thinking_tags",
]
