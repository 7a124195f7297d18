"""What a chat template keeps of a conversation, found by rendering canaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enginebay_core.api import Conversation, JsonValue, Message, Tokenizer, ToolCall

CANARY: Final = "canary7391"
_TOOL: Final[dict[str, JsonValue]] = {
    "type": "function",
    "function": {
        "name": CANARY,
        "description": "Sings.",
        "parameters": {"type": "object", "properties": {}},
    },
}
_USER: Final = Message("user", "Hello")
_CALL_ID: Final = "abcdefgh1"
"""Nine letters and digits: Mistral's templates take no other."""
_REPLY: Final = Message("tool", "la", tool_call_id=_CALL_ID)


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """What reaches the prompt. ``chat``: whether a plain conversation renders at all.

    ``tool_calls`` covers an assistant's call and the tool's reply; ``short_call_ids``: whether it
    takes no other ids of calls than nine letters and digits, as Mistral's. ``thinking``: whether
    the option ``enable_thinking`` changes the prompt. ``reasoning``: whether an earlier turn's
    reasoning is ever shown.
    """

    chat: bool = False
    system: bool = False
    tools: bool = False
    tool_calls: bool = False
    short_call_ids: bool = False
    name: bool = False
    thinking: bool = False
    reasoning: bool = False


def probe_template(tokenizer: Tokenizer) -> TemplateFacts:
    """Never raises: what cannot be rendered is not kept."""
    return TemplateFacts(
        chat=_render(tokenizer, Conversation((_USER,))) is not None,
        system=_shows(tokenizer, Message("system", CANARY), _USER),
        tools=_tells(tokenizer, Conversation((_USER,), tools=(_TOOL,))),
        tool_calls=_keeps_tool_calls(tokenizer),
        short_call_ids=_takes_short_call_ids_only(tokenizer),
        name=_shows(tokenizer, Message("user", "Hello", name=CANARY)),
        thinking=_keeps_thinking_switch(tokenizer),
        reasoning=_shows(tokenizer, _USER, Message("assistant", "Hello", reasoning=CANARY))
        or _shows(tokenizer, _USER, _call("sing", reasoning=CANARY), _REPLY),
    )


def _keeps_tool_calls(tokenizer: Tokenizer) -> bool:
    reply = Message("tool", CANARY, tool_call_id=_CALL_ID)
    called = _shows(tokenizer, _USER, _call(CANARY), _REPLY)
    return called and _shows(tokenizer, _USER, _call("sing"), reply)


def _takes_short_call_ids_only(tokenizer: Tokenizer) -> bool:
    short, long = (
        _render(
            tokenizer,
            Conversation(
                (
                    _USER,
                    Message("assistant", None, tool_calls=(ToolCall(call_id, "sing", "{}"),)),
                    Message("tool", "la", tool_call_id=call_id),
                )
            ),
        )
        for call_id in (_CALL_ID, "call_0123456789abcdef")
    )
    return short is not None and long is None


def _keeps_thinking_switch(tokenizer: Tokenizer) -> bool:
    prompts = [
        _render(tokenizer, Conversation((_USER,), options={"enable_thinking": on}))
        for on in (True, False)
    ]
    return prompts[0] != prompts[1]


def _shows(tokenizer: Tokenizer, *messages: Message) -> bool:
    return _tells(tokenizer, Conversation(messages))


def _tells(tokenizer: Tokenizer, conversation: Conversation) -> bool:
    return CANARY in (_render(tokenizer, conversation) or "")


def _render(tokenizer: Tokenizer, conversation: Conversation) -> str | None:
    try:
        return tokenizer.render(conversation).text
    except Exception:  # another's tokenizer may raise anything; then it keeps nothing
        return None


def _call(function: str, reasoning: str | None = None) -> Message:
    call = ToolCall(_CALL_ID, function, "{}")
    return Message("assistant", None, reasoning=reasoning, tool_calls=(call,))
