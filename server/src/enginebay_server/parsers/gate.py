"""Content on its way to the client, beside calls: stop strings, blanks, settled ids."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from enginebay_core.text import StopMatcher
from enginebay_server.parsers.parts import CallPart, Part

HELD_BLANKS: Final = 64
"""Blanks at the end of the content that wait for what follows; a call would drop them."""


class Gate:
    """Takes text and calls in the order of their ids; ``take`` gives out what may be shown.

    Stop strings are looked for in the content, not in calls. Blanks before, between and after
    calls are the template's manners and dropped; those between words stay.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._matcher = StopMatcher(stop) if stop else None
        self._matched_from = 0
        self._held = ""
        self._end = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._gap = ""
        self._spoke = False
        self._called = False
        self._after_call = False
        self.stopped = False
        self._start_part()

    def text(self, text: str, ids: int) -> None:
        """More content, and how many ids begin with it."""
        if self.stopped:
            return
        if ids:
            self._waiting.append((self._end + bool(text), ids))
        self._end += len(text)
        self._held += text
        match = self._matcher.feed(text) if self._matcher else None
        if match is None:
            self._show(self._decided())
            self._settle(self._end - len(self._held))
            return
        self.stopped = True
        begin = self._end - len(self._held)
        self._show(self._matched_from + match.start - begin)
        self._settle(self._matched_from + match.end)

    def call(self, ids: int) -> None:
        """Something of a call, of which ``ids`` ids begin with it."""
        if self.stopped:
            return
        if self._held or self._waiting:
            self._close_content()
        self._called = self._after_call = True
        self._settle_thought(ids)

    def add_call(self, part: CallPart) -> None:
        if self.stopped:
            return
        last = self._calls[-1] if self._calls else None
        if last and last.index == part.index and not part.id and not last.id:
            self._calls[-1] = CallPart(part.index, last.arguments + part.arguments)
        else:
            self._calls.append(part)

    def stop(self) -> None:
        self.stopped = True

    def flush(self) -> None:
        """Nothing follows."""
        if self.stopped:
            return
        if self._called:
            self._close_content()
        else:
            self._show(len(self._held))
            self._settle(self._end)

    def take(self) -> Part:
        """What was decided since the last time."""
        part = Part(
            "".join(self._content),
            "",
            self._settled,
            self.stopped,
            tuple(self._thought),
            tuple(self._calls),
        )
        self._start_part()
        return part

    def _start_part(self) -> None:
        self._content: list[str] = []
        self._settled = 0
        self._thought: list[int] = []
        self._calls: list[CallPart] = []

    def _decided(self) -> int:
        """How much of what is held can be shown, whatever follows."""
        free = len(self._held) - (self._matcher.held if self._matcher else 0)
        tail = self._held[max(0, free - HELD_BLANKS) : free]
        return free - (len(tail) - len(tail.rstrip()))

    def _close_content(self) -> None:
        """A call follows, or the end after one: what may have begun a stop string did not."""
        shown = len(self._held.rstrip())
        self._show(shown)
        self._settle(self._end - len(self._held))
        self._gap += self._held
        self._held = ""
        self._matcher = StopMatcher(self._stop) if self._stop else None
        self._matched_from = self._end
        while self._waiting:
            self._settle_thought(self._waiting.popleft()[1])

    def _show(self, length: int) -> None:
        text, self._held = self._held[:length], self._held[length:]
        if self._after_call:
            words = text.lstrip()
            self._gap += text[: len(text) - len(words)]
            text = words
        if not text:
            return
        self._after_call = False
        self._content.append(self._gap + text if self._spoke else text)
        self._gap = ""
        self._spoke = True

    def _settle(self, shown: int) -> None:
        """Settle the ids that begin at or before the character ``shown``."""
        while self._waiting and self._waiting[0][0] <= shown:
            self._settled += self._waiting.popleft()[1]

    def _settle_thought(self, ids: int) -> None:
        self._thought += range(self._settled, self._settled + ids)
        self._settled += ids
