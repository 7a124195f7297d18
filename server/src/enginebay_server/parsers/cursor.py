"""What a tool-call syntax reads from, and tells to what it finds.

A syntax is written as if it had the whole answer before it: a generator that asks for one symbol at
a time. So it cannot depend on how the answer is cut into steps, and nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Reading: TypeAlias = Generator[None, str, T]
"""Asks for a symbol with each ``yield``; returns what was read."""

BLANKS: Final = frozenset(" \t\r\n")


class Mark(str):
    """A control token among the characters. The same letters spelled out are no Mark."""

    __slots__ = ()


END: Final = Mark("")
"""After the last symbol, as often as it is asked for."""


class NotACall(Exception):  # no error: a model may write what it likes
    """What is being read is not in the syntax; the symbol that shows it was not taken."""


class CutOff(NotACall):
    """The answer ended inside of what could have become a call."""


class Findings(Protocol):
    """Who listens. Every symbol that was sent is told to be one or the other, in order."""

    def content(self, symbols: int) -> None:
        """The next ``symbols`` are words to the user."""

    def skip(self, symbols: int) -> None:
        """The next ``symbols`` belong to a call."""

    def begin(self, name: str) -> None: ...

    def arguments(self, text: str) -> None: ...

    def end(self) -> None: ...


class Cursor:
    """``control`` are the tags that come as Marks; others are looked for in the text. ``tools``
    are the offered functions' parameters by name. Text without any of the characters in ``apart``
    may come as one symbol; None: each character has to come alone.
    """

    def __init__(
        self, findings: Findings, control: Collection[str], tools: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.tools = tools
        self.calling = False
        self.apart: frozenset[str] | None = None
        self._control = control
        self._findings = findings
        self._taken = 0
        self._ahead: str | None = None

    # What comes next.

    def peek(self) -> Reading[str]:
        """The next symbol, which stays the next."""
        if self._ahead is None:
            self._ahead = yield
        return self._ahead

    def take(self) -> Reading[str]:
        symbol = self._ahead
        if symbol is None:
            symbol = yield
        self._ahead = END if symbol is END else None
        self._taken += symbol is not END
        return symbol

    def character(self) -> Reading[str]:
        """Take one. Raises NotACall at a Mark, CutOff at the end."""
        symbol = yield from self.peek()
        if symbol is END:
            raise CutOff
        if isinstance(symbol, Mark):
            raise NotACall
        return (yield from self.take())

    def expect(self, text: str) -> Reading[None]:
        """Take the characters of ``text``. Raises NotACall where others come."""
        for wanted in text:
            if (yield from self.peek()) is END:
                raise CutOff
            if (yield from self.peek()) != wanted:
                raise NotACall
            yield from self.take()

    def blanks(self) -> Reading[str]:
        """Take blanks and line ends; the symbol after them, which is not taken."""
        while (yield from self.peek()) in BLANKS:
            yield from self.take()
        return (yield from self.peek())

    def text_until(self, *ends: str) -> Reading[str]:
        """Take characters up to one of the ``ends``, single characters or control tokens."""
        text = ""
        while (yield from self.peek()) not in ends:
            text += yield from self.character()
        return text

    def until(self, *tags: str) -> Reading[str]:
        """Take content up to the first of the ``tags`` and the tag itself; which, or END. The tag
        is not told yet. Whatever may yet become a tag is held back.
        """
        spelled = [tag for tag in tags if tag not in self._control]
        longest = max(map(len, spelled), default=0)
        first = frozenset(tag[0] for tag in spelled)
        seen, held = "", 0
        while True:
            self.apart = None if held else first
            symbol = yield from self.take()
            self.apart = None
            if symbol is END:
                self.content()
                return END
            if isinstance(symbol, Mark) and symbol in tags:
                self.content(but=1)
                return symbol
            seen = "" if isinstance(symbol, Mark) else (seen + symbol)[-longest:]
            for tag in spelled:
                if seen.endswith(tag):
                    self.content(but=len(tag))
                    return tag
            held = _begun(seen, spelled)
            self.content(but=held)

    # What was found. Each speaks of all symbols that were taken and not told yet.

    def content(self, but: int = 0) -> None:
        """They are words to the user, except the last ``but``."""
        if self._taken > but:
            self._findings.content(self._taken - but)
            self._taken = but

    def skip(self) -> None:
        """They belong to a call."""
        if self._taken:
            self._findings.skip(self._taken)
            self._taken = 0

    def begin(self, name: str) -> None:
        """A call begins; from here on it is one, whatever follows."""
        self.skip()
        self.calling = True
        self._findings.begin(name)

    def arguments(self, text: str) -> None:
        """The next piece of the call's JSON text."""
        self.skip()
        self._findings.arguments(text)

    def end(self) -> None:
        self.skip()
        self.calling = False
        self._findings.end()

    def attempt(self, call: Reading[None], *, tagged: bool = True) -> Reading[bool]:
        """Read a call, or several; whether the last was one. What breaks off after its beginning
        is a call; what does before is words to the user, as it was written. When the answer ends
        there it is nothing, if a tag had said that it is to be a call.
        """
        try:
            yield from call
        except NotACall as reason:
            if self.calling:
                self.end()
                return True
            if tagged and isinstance(reason, CutOff):
                self.skip()
            else:
                self.content()
            return False
        return True


def _begun(text: str, tags: Collection[str]) -> int:
    """How many of the last characters may begin one of the tags."""
    for tag in tags:
        for length in range(min(len(tag) - 1, len(text)), 0, -1):
            if text.endswith(tag[:length]):
                return length
    return 0
