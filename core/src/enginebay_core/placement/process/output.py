"""What a child prints, as lines of the server's log."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import Final

CHUNK: Final = 1 << 16
CALM_BYTES: Final = 1 << 18
"""So much a second is read at once; a child that prints more is slowed down, not the server."""
CALM_LINES: Final = 50
"""So many lines a second are logged; of the others it is said how many they were."""
LONGEST_LINE: Final = 2000
PAUSE_SECONDS: Final = 0.01

log = logging.getLogger(__name__)


class Output:
    """Reads ``descriptor`` on a thread of its own until nobody can write to it any more, and owns
    it. ``last_words`` are the newest lines.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.last_words: deque[str] = deque(maxlen=30)
        self._name = name
        self._descriptor = descriptor
        self._rest = b""
        self._second, self._bytes, self._lines = 0, 0, 0
        self._thread = threading.Thread(target=self._run, name=f"output-{name}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while chunk := os.read(self._descriptor, CHUNK):
                self._take(chunk)
            self._say(self._rest)
            self._tell_unsaid()
        finally:
            os.close(self._descriptor)

    def _take(self, chunk: bytes) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._tell_unsaid()
            self._second, self._bytes, self._lines = second, 0, 0
        self._bytes += len(chunk)
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        self._lines += len(lines)
        said = max(0, CALM_LINES - self._lines + len(lines))
        for line in lines[:said]:
            self._say(line)
        self.last_words.extend(map(_text, lines[said:][-30:]))
        if self._bytes > CALM_BYTES:
            time.sleep(PAUSE_SECONDS)

    def _say(self, line: bytes) -> None:
        text = _text(line)
        if text:
            self.last_words.append(text)
            log.info("%s: %s", self._name, text)

    def _tell_unsaid(self) -> None:
        if self._lines > CALM_LINES:
            log.warning("%s: %d more lines were printed", self._name, self._lines - CALM_LINES)


def _text(line: bytes) -> str:
    """Without what would move a terminal's cursor or forge a line."""
    text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip()
    return "".join(letter if letter.isprintable() else " " for letter in text)
