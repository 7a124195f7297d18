"""Deltas of an answer to the items of a response, and the events that tell how they grow."""

from __future__ import annotations

from typing import Any, TypeVar

from enginebay_server.choice import Delta
from enginebay_server.parsers import CallPart
from enginebay_server.responses.items import (
    Event,
    GrowingCall,
    GrowingItem,
    GrowingMessage,
    GrowingReasoning,
)

ItemT = TypeVar("ItemT", bound=GrowingItem)
TextT = TypeVar("TextT", GrowingMessage, GrowingReasoning)


class Output:
    """``items`` are those of the response, in the order in which they began; only the last may
    still grow. ``finish`` is the answer's, once it has ended.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.finish: str | None = None
        self._open: GrowingItem | None = None

    def add(self, delta: Delta) -> list[Event]:
        """The events that tell of this delta."""
        events: list[Event] = []
        if delta.reasoning:
            events.append(self._reach(GrowingReasoning, events).grow(delta.reasoning))
        if delta.content or delta.logprobs:
            message = self._reach(GrowingMessage, events)
            events.append(message.grow(delta.content, delta.logprobs))
        for part in delta.calls:
            self._add_call(part, events)
        if delta.finish is not None:
            self._end(delta.finish, events)
        return events

    def close(self, status: str) -> list[Event]:
        """End the item that still grows."""
        events = self._open.close(status) if self._open else []
        self._open = None
        return events

    def _reach(self, kind: type[TextT], events: list[Event]) -> TextT:
        """The item of this kind that is growing, or a new one."""
        if isinstance(self._open, kind):
            return self._open
        return self._begin(kind(len(self.items)), events)

    def _add_call(self, part: CallPart, events: list[Event]) -> None:
        if part.id:
            self._begin(GrowingCall(len(self.items), part), events)
        if part.arguments:
            assert isinstance(self._open, GrowingCall), "arguments follow their call's beginning"
            events.append(self._open.grow(part.arguments))

    def _begin(self, item: ItemT, events: list[Event]) -> ItemT:
        events += self.close("completed")
        self.items.append(item.body)
        self._open = item
        events += item.begin()
        return item

    def _end(self, finish: str, events: list[Event]) -> None:
        """An answer that says nothing is an empty message."""
        self.finish = finish
        if not self.items:
            self._reach(GrowingMessage, events)
        events += self.close("incomplete" if finish == "length" else "completed")
