"""A file of questions: texts and conversations, one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ConfigError, Conversation, RequestError, UnsupportedField
from enginebay_core.compare import Question, ask_text
from enginebay_core.placement import RunningModel
from enginebay_server.conversation import conversation_of
from enginebay_server.parsers import Dialect
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.reading import read
from enginebay_server.tools import ToolUse

KEYS: Final = ("messages", "tools", "chat_template_kwargs", "reasoning_effort")
"""What of a chat request makes its prompt."""


def read_questions(file: Path) -> list[Question]:
    """A line of JSON is a list of messages, or an object as a chat request has it; any other is
    what a user says; empty ones are passed over. Raises ConfigError naming the line.
    """
    try:
        text = file.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"the prompts in {file} cannot be read: {reason}") from None
    only_json = file.suffix.lower() in (".jsonl", ".ndjson")
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    found = [
        _question(line, f"{file}, line {number}", only_json=only_json)
        for number, line in lines
        if line
    ]
    if not found:
        raise ConfigError(f"{file} has no prompts; write one a line")
    return found


def _question(line: str, place: str, *, only_json: bool) -> Question:
    try:
        said = json.loads(line) if only_json or line.startswith(("{", "[")) else line
    except json.JSONDecodeError as error:
        if only_json:
            raise ConfigError(f"{place} is not JSON: {error}") from None
        said = line
    if isinstance(said, str):
        return ask_text(said)
    body = {"messages": said} if isinstance(said, list) else said
    if not isinstance(body, dict) or "messages" not in body:
        raise ConfigError(f'{place} has no "messages"; write {{"messages": [...]}} or a text')
    unread = [key for key in body if key not in KEYS]
    if unread:
        raise ConfigError(
            f"{place} has {unread[0]!r}, which is no part of a prompt; it may have "
            f"{', '.join(KEYS)}"
        )
    return _conversation(body, place)


def _conversation(body: dict[str, Any], place: str) -> Question:
    try:
        fields = read(ChatRequest, {"model": "any", **body})
    except RequestError as error:
        raise ConfigError(f"{place}: {error}") from None
    last = fields.messages[-1].text or fields.messages[-1].role
    tools = ToolUse(tuple(tool.for_template for tool in fields.tools or ()))

    def converse(model: RunningModel) -> Conversation:
        if tools.shown and not model.template.tools:
            raise UnsupportedField("its chat template drops tools", param="tools")
        return conversation_of(fields, model.template, Dialect(), tools)

    return Question(last, converse)
