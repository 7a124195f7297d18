"""Says how far a run of the checks is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO

SECONDS: Final = 10.0
"""Between two lines in a file; a terminal has one line that changes."""

Watch = Callable[[int, int], None]
"""Told how many checks are done, and of how many."""


def watch_checks(title: str, output: TextIO) -> Watch:
    """Write to ``output``, which is not closed. A terminal's line is gone at the end."""
    terminal = output.isatty()
    told = time.monotonic()

    def watch(done: int, total: int) -> None:
        nonlocal told
        if terminal:
            output.write(
                "\r\033[K" + (f"{title}: {done} of {total} checks" if done < total else "")
            )
        elif done == 0:
            output.write(f"{title}: {total} checks\n")
        elif time.monotonic() - told >= SECONDS:
            output.write(f"{title}: {done} of {total} checks\n")
            told = time.monotonic()
        output.flush()

    return watch
