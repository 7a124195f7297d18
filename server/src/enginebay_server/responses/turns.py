"""Items to the messages of a chat, where the assistant's next to each other are one turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from enginebay_server.schema.responses import (
    CallItem,
    CallOutputItem,
    Item,
    MessageItem,
    ReasoningItem,
    text_of,
)

ChatMessageBody: TypeAlias = dict[str, Any]


class Turns:
    """``places`` says of each message, and each call in one, which item it came from."""

    def __init__(self, instructions: str | None) -> None:
        self.messages: list[ChatMessageBody] = []
        self.places: dict[str, str] = {}
        if instructions is not None:
            self._begin("instructions", role="system", content=instructions)
            self.places["messages[0].role"] = "instructions"

    def add(self, item: Item, place: str) -> None:
        """``place`` is the item's name in the request, as ``input[3]``."""
        if isinstance(item, CallItem):
            self._add_call(item, place)
        elif isinstance(item, CallOutputItem):
            self.places[f"messages[{len(self.messages)}].tool_call_id"] = f"{place}.call_id"
            self._begin(place, role="tool", content=text_of(item.output), tool_call_id=item.call_id)
        elif isinstance(item, ReasoningItem):
            self._think(item.text, place)
        elif item.role == "assistant":
            self._say(item, place)
        else:
            self._begin(place, role=item.role, content=text_of(item.content))

    def _think(self, text: str, place: str) -> None:
        """Before the words and calls that it led to; after them another turn begins."""
        if not text:
            return
        turn = self._turn(place, goes_on=lambda turn: not turn.keys() & {"content", "tool_calls"})
        earlier = turn.get("reasoning_content")
        turn["reasoning_content"] = f"{earlier}\n{text}" if earlier else text

    def _say(self, item: MessageItem, place: str) -> None:
        """Words after a call are of the same turn: the results of its calls are still to come."""
        turn = self._turn(place, goes_on=lambda turn: "tool_calls" in turn or "content" not in turn)
        turn["content"] = turn.get("content", "") + text_of(item.content)

    def _add_call(self, item: CallItem, place: str) -> None:
        turn = self._turn(place, goes_on=lambda turn: True)
        calls = turn.setdefault("tool_calls", [])
        part = f"messages[{len(self.messages) - 1}].tool_calls"
        self.places.setdefault(part, place)
        self.places[f"{part}[{len(calls)}].function"] = place
        function = {"name": item.name, "arguments": item.arguments}
        calls.append({"id": item.call_id, "type": "function", "function": function})

    def _turn(self, place: str, goes_on: Callable[[ChatMessageBody], bool]) -> ChatMessageBody:
        """The assistant's turn that the last message is, or a new one."""
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != "assistant" or not goes_on(last):
            self._begin(place, role="assistant")
        return self.messages[-1]

    def _begin(self, place: str, **fields: Any) -> None:
        self.places[f"messages[{len(self.messages)}]"] = place
        self.messages.append(fields)
