"""Where a chat is typed and read: a terminal, or pipes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from enginebay_server.cli.output import open_console, printable

PROMPT: Final = "> "


class Terminal:
    """``interactive`` when a person types and reads. Else lines come from stdin as they are,
    answers alone go to stdout, and everything beside them to stderr.
    """

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._main = open_console()
        self._beside = self._main if sys.stdout.isatty() else open_console(stderr=True)

    def lines(self) -> Iterator[str]:
        """What is typed, until it ends: Ctrl-D, /exit, or Ctrl-C twice (KeyboardInterrupt)."""
        return self._typed() if self.interactive else iter(sys.stdin)

    def answer(self, text: str) -> None:
        self._main.out(printable(text), end="")

    def thinking(self, text: str) -> None:
        self._beside.out(printable(text), end="", style="dim")

    def note(self, text: str) -> None:
        """A line about the chat, not of it."""
        self._beside.out(printable(text), style="dim")

    def complain(self, text: str) -> None:
        self._beside.out(printable(text), style="red")

    def _typed(self) -> Iterator[str]:
        with suppress(ImportError):
            importlib.import_module("readline")  # gives ``input`` editing and a history
        interrupted = False
        while True:
            try:
                line = input(PROMPT)
                interrupted = False
                yield line
            except EOFError:
                self._main.out("")
                return
            except KeyboardInterrupt:
                self._main.out("")
                if interrupted:
                    raise
                interrupted = True
                self.note("Ctrl-C again, or Ctrl-D, ends the chat")
