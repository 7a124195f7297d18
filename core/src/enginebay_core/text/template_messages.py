"""A conversation in the shape that chat templates expect."""

from __future__ import annotations

import json

from enginebay_core.api import Conversation, JsonValue, Message, ToolCall


def template_messages(conversation: Conversation) -> list[dict[str, JsonValue]]:
    return [_message(message) for message in conversation.messages]


def _message(message: Message) -> dict[str, JsonValue]:
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
        "tool_calls": [_tool_call(call) for call in message.tool_calls] or None,
        "tool_call_id": message.tool_call_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_call(call: ToolCall) -> dict[str, JsonValue]:
    function: JsonValue = {"name": call.name, "arguments": _arguments(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _arguments(text: str) -> JsonValue:
    """An object, as templates want it; the text itself where it is no JSON object."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
