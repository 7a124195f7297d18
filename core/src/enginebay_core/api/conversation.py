"""What a client says, before any template: text only, no ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the assistant made earlier. ``arguments`` is JSON text, as OpenAI sends it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``content`` is None only for an assistant turn that is nothing but tool calls.

    ``developer`` messages arrive here as ``system``: templates know no other name for it.
    """

    role: Role
    content: str | None
    name: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that a chat template sees.

    ``tools`` are OpenAI tool objects, passed on as they came. ``options`` are the template's own
    switches (``enable_thinking``); they never carry a template or code. ``opens_turn``: the text
    ends where the assistant is to go on; else with the last message.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, JsonValue], ...] = ()
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    opens_turn: bool = True
