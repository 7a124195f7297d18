"""Which parsers read a model's answers: the config says, or the model's own template shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from enginebay_core.api import ConfigError, Conversation, JsonValue, Message, Tokenizer, ToolCall
from enginebay_core.config import ModelConfig
from enginebay_core.plugins.suggest import suggest
from enginebay_core.text import open_streamer, token_bytes
from enginebay_server.parsers.call_form import CallForm, choose_form
from enginebay_server.parsers.calls import CallContext, CallNumbers, CallsReader
from enginebay_server.parsers.deepseek import DEEPSEEK
from enginebay_server.parsers.hermes import HERMES
from enginebay_server.parsers.llama3 import LLAMA3
from enginebay_server.parsers.mistral import MISTRAL
from enginebay_server.parsers.parts import PartsReader, joined
from enginebay_server.parsers.plain import PlainReader
from enginebay_server.parsers.qwen3_coder import QWEN3_CODER
from enginebay_server.parsers.reasoning import PAIRS, ReasoningReader, ThinkingTags, thinking_tags
from enginebay_server.parsers.syntax import Syntax

TOOL_PARSERS: Final[Mapping[str, Syntax]] = MappingProxyType(
    {syntax.name: syntax for syntax in (HERMES, QWEN3_CODER, LLAMA3, MISTRAL, DEEPSEEK)}
)
"""By the name that a config may give, in the order in which they are tried."""

NONE: Final = "none"
"""In a config: leave the text as it comes."""

OVERSHOOT: Final = 4
"""Ids of a call that may also begin the template's opening of an ordinary answer."""

_CANARY: Final = "canary7391"
_ARGUMENTS: Final = {"song": "la la", "times": 3}
_USER: Final = Message("user", "Hello")
_CALL: Final = ToolCall("abcdefgh1", _CANARY, json.dumps(_ARGUMENTS))
_PARAMETERS: Final[dict[str, JsonValue]] = {
    "type": "object",
    "properties": {"song": {"type": "string"}, "times": {"type": "integer"}},
}
_TOOL: Final[dict[str, JsonValue]] = {
    "type": "function",
    "function": {"name": _CANARY, "description": "Sings.", "parameters": _PARAMETERS},
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one model thinks aloud and calls tools; None where it does not, or nobody knows how.
    ``call_form`` is how it writes a call that it is forced to make.
    ``switches`` are the template's own that clients may set beside ``enable_thinking``.
    """

    tools: Syntax | None = None
    thinking: ThinkingTags | None = None
    switches: frozenset[str] = frozenset()
    call_form: CallForm | None = None

    def names(self) -> dict[str, str]:
        """As a config would name the parsers."""
        return {
            "tool_parser": self.tools.name if self.tools else NONE,
            "reasoning_parser": self.thinking.name if self.thinking else NONE,
        }


@dataclass(frozen=True, slots=True)
class CallReading:
    """That calls are to be told from the answer. ``tools`` are the offered functions' parameters
    by name; with ``only_one`` the answer ends with its first call.
    """

    tools: Mapping[str, Mapping[str, Any]]
    only_one: bool = False


def check_parsers(name: str, config: ModelConfig) -> None:
    """Raises ConfigError for a parser that there is not."""
    for key, given, known in (
        ("tool_parser", config.tool_parser, [*TOOL_PARSERS, NONE]),
        ("reasoning_parser", config.reasoning_parser, [*PAIRS, NONE]),
    ):
        if given is not None and given not in known:
            near = suggest(given, known)
            meant = f"did you mean {near!r}? " if near else ""
            raise ConfigError(
                f"models.{name}.{key}: there is no parser {given!r}; {meant}"
                f"(there are {', '.join(known)})"
            )


def choose_dialect(tokenizer: Tokenizer, config: ModelConfig) -> Dialect:
    """Raises ConfigError for tags that the tokenizer lacks."""
    written = _written_call(tokenizer)
    syntax = _choose_tools(tokenizer, config.tool_parser, written)
    spelled = b"".join([token_bytes(tokenizer, token) for ids in written[:1] for token in ids])
    return Dialect(
        syntax,
        _choose_thinking(tokenizer, config.reasoning_parser),
        frozenset(config.template_kwargs),
        choose_form(syntax.forms, _CANARY, spelled.decode(errors="replace")) if syntax else None,
    )


def open_reader(
    tokenizer: Tokenizer,
    dialect: Dialect,
    prompt: Sequence[int],
    *,
    stop: Sequence[str] = (),
    calls: CallReading | None = None,
) -> PartsReader:
    """A reader for one answer to ``prompt``."""
    numbers = CallNumbers(calls.only_one if calls else False)

    def content() -> PartsReader:
        if calls is None or dialect.tools is None:
            return PlainReader(open_streamer(tokenizer, stop=stop))
        return CallsReader(CallContext(dialect.tools, tokenizer, calls.tools, stop), numbers)

    if dialect.thinking is None:
        return content()
    return ReasoningReader(
        dialect.thinking,
        content,
        lambda: PlainReader(open_streamer(tokenizer)),
        thinking=dialect.thinking.open_at_end(prompt),
    )


def _choose_thinking(tokenizer: Tokenizer, wanted: str | None) -> ThinkingTags | None:
    if wanted == NONE:
        return None
    found = thinking_tags(tokenizer.control, [wanted] if wanted else PAIRS)
    if wanted and found is None:
        raise ConfigError(
            f"reasoning_parser is {wanted!r}, whose tags {' and '.join(PAIRS[wanted])} are no "
            "control tokens of this model's tokenizer; leave the setting out"
        )
    return found


def _choose_tools(
    tokenizer: Tokenizer, wanted: str | None, written: Sequence[tuple[int, ...]]
) -> Syntax | None:
    """The config's, else the one that can read back what the template writes of a call."""
    if wanted is not None:
        return TOOL_PARSERS.get(wanted)
    for syntax in TOOL_PARSERS.values():
        if any(_reads_back(syntax, tokenizer, ids) for ids in written):
            return syntax
    return None


def _written_call(tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """The ids of a conversation from the assistant's call on; and from a few ids before, since a
    call and what opens an ordinary answer may begin alike.
    """
    reply = Message("tool", "la", tool_call_id=_CALL.id)
    call = Message("assistant", None, tool_calls=(_CALL,))
    try:
        asked = tokenizer.render(Conversation((_USER,), (_TOOL,))).ids
        called = tokenizer.render(Conversation((_USER, call, reply), (_TOOL,))).ids
    except Exception:  # a template that cannot take tools; another's tokenizer may raise anything
        return []
    pairs = enumerate(zip(asked, called, strict=False))
    common = next((place for place, (one, other) in pairs if one != other), len(asked))
    return [called[max(0, common - back) :] for back in range(OVERSHOOT)]


def _reads_back(syntax: Syntax, tokenizer: Tokenizer, ids: Sequence[int]) -> bool:
    reader = CallsReader(CallContext(syntax, tokenizer, {_CANARY: _PARAMETERS}), CallNumbers())
    calls = joined(reader.push(ids), reader.flush()).calls
    try:
        arguments = json.loads("".join(call.arguments for call in calls))
    except ValueError:
        return False
    return [call.name for call in calls if call.id] == [_CANARY] and bool(arguments == _ARGUMENTS)
