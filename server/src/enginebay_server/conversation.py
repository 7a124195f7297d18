"""The messages of a request to the conversation that a chat template sees."""

from __future__ import annotations

from enginebay_core.api import (
    Conversation,
    Message,
    RequestError,
    ToolCall,
    UnsupportedField,
)
from enginebay_core.text import TemplateFacts
from enginebay_server.call_history import call_id_for, check_arguments, check_replies
from enginebay_server.parsers import Dialect
from enginebay_server.schema.chat import ChatMessage, ChatRequest
from enginebay_server.template_switches import switches_of
from enginebay_server.tools import ToolUse


def conversation_of(
    fields: ChatRequest, template: TemplateFacts, dialect: Dialect, tools: ToolUse
) -> Conversation:
    """Raises RequestError for a message that lacks what its role needs, or says something that
    the model's template would drop.
    """
    if not template.chat:
        raise UnsupportedField(
            "This model has no chat template; use /v1/completions.", param="messages"
        )
    for index, message in enumerate(fields.messages):
        _check_role(message, f"messages[{index}]")
        check_arguments(message, f"messages[{index}]")
        _check_template(message, template, f"messages[{index}]")
    check_replies(fields.messages)
    messages = _with_one_system([_message(message, template) for message in fields.messages])
    options = switches_of(fields, template, dialect.switches)
    return Conversation(tuple(messages), tools.shown, options)


def _check_role(message: ChatMessage, place: str) -> None:
    if message.role == "assistant":
        if message.text is None and not message.tool_calls and message.thinking is None:
            raise RequestError(f"{place} says nothing; give it content.", param=f"{place}.content")
    elif message.content is None:
        raise RequestError(
            f"{place}.content is missing; a message of role {message.role!r} needs it.",
            param=f"{place}.content",
        )
    if message.role == "tool" and not message.tool_call_id:
        raise RequestError(
            f"{place}.tool_call_id is missing; say which call this is the result of.",
            param=f"{place}.tool_call_id",
        )
    if message.role != "assistant" and message.tool_calls:
        raise RequestError(
            f"{place}.tool_calls: only the assistant calls tools.", param=f"{place}.tool_calls"
        )


def _check_template(message: ChatMessage, template: TemplateFacts, place: str) -> None:
    """A template that drops something would answer another question than the one asked."""
    uses_tools = message.role == "tool" or bool(message.tool_calls)
    dropped = {
        "role": message.role in ("system", "developer") and not template.system,
        "tool_calls": uses_tools and not template.tool_calls,
        "name": bool(message.name) and message.role != "tool" and not template.name,
    }
    for field, lost in dropped.items():
        if lost:
            raise UnsupportedField(
                f"{place}.{field}: this model's chat template drops it; remove it.",
                param=f"{place}.{field}",
            )


def _message(message: ChatMessage, template: TemplateFacts) -> Message:
    reply = message.tool_call_id
    return Message(
        role="system" if message.role == "developer" else message.role,
        content=message.text,
        name=message.name,
        reasoning=message.thinking,
        tool_calls=tuple(
            ToolCall(call_id_for(call.id, template), call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
        ),
        tool_call_id=None if reply is None else call_id_for(reply, template),
    )


def _with_one_system(messages: list[Message]) -> list[Message]:
    """Several system messages at the start become one: many templates refuse a second."""
    leading = 0
    while leading < len(messages) and messages[leading].role == "system":
        leading += 1
    if leading < 2:
        return messages
    text = "\n\n".join(message.content or "" for message in messages[:leading])
    return [Message("system", text), *messages[leading:]]
