"""Calls and their results in the messages of a request."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from typing import Final

from enginebay_core.api import RequestError
from enginebay_core.text import TemplateFacts
from enginebay_server.body import parse_object
from enginebay_server.errors import quote
from enginebay_server.schema.chat import ChatMessage

_SHORT: Final = 9
_LETTERS: Final = string.digits + string.ascii_letters


def check_arguments(message: ChatMessage, place: str) -> None:
    """The template gets them as an object. Raises RequestError for what is none."""
    for index, call in enumerate(message.tool_calls or ()):
        text = call.function.arguments
        try:
            parse_object(text.encode() or b"{}")
        except RequestError:
            param = f"{place}.tool_calls[{index}].function.arguments"
            raise RequestError(
                f"{param} is {quote(text)}: it should be a JSON object, as text.", param=param
            ) from None


def check_replies(messages: Sequence[ChatMessage]) -> None:
    """Raises RequestError for the result of a call that was not made before."""
    made: set[str] = set()
    for index, message in enumerate(messages):
        made.update(call.id for call in message.tool_calls or ())
        if message.role == "tool" and message.tool_call_id not in made:
            param = f"messages[{index}].tool_call_id"
            raise RequestError(
                f"{param} is {quote(message.tool_call_id)}; no assistant message before it has a "
                "call of that id.",
                param=param,
            )


def call_id_for(call_id: str, template: TemplateFacts) -> str:
    """The same id always gets the same one, in the form that the template takes."""
    short = len(call_id) == _SHORT and call_id.isascii() and call_id.isalnum()
    if short or not template.short_call_ids:
        return call_id
    digest = hashlib.sha256(call_id.encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_SHORT])
