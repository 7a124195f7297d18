"""A conversation in the shape that chat templates expect."""

from __future__ import annotations

import json
from typing import Final

from enginebay_core.api import Conversation, JsonValue, Message, ToolCall

RESERVED: Final = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""Names that the conversation itself gives to the template."""


def template_messages(
    conversation: Conversation, *, text_arguments: bool = False
) -> list[dict[str, JsonValue]]:
    """Calls' arguments are objects, or with ``text_arguments`` the text that the client sent."""
    return [_message(message, text_arguments) for message in conversation.messages]


def _message(message: Message, text_arguments: bool) -> dict[str, JsonValue]:
    """Absent fields are left out, since templates ask ``is defined``, or print None.

    Reasoning goes by both names that templates read: ``reasoning_content``, and gpt-oss's
    ``thinking``.
    """
    fields: dict[str, JsonValue] = {
        "role": message.role,
        "content": message.content,
        "name": message.name,
        "reasoning_content": message.reasoning,
        "thinking": message.reasoning,
        "tool_calls": [_tool_call(call, text_arguments) for call in message.tool_calls] or None,
        "tool_call_id": message.tool_call_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_call(call: ToolCall, text_arguments: bool) -> dict[str, JsonValue]:
    arguments = (call.arguments or "{}") if text_arguments else _arguments(call.arguments)
    function: JsonValue = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _arguments(text: str) -> JsonValue:
    """An object, as templates want it; the text itself where it is no JSON object."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
