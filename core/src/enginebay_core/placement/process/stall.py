"""Whether an engine still moves."""

from __future__ import annotations

import time
from typing import Final

from enginebay_core.config import Deadlines
from enginebay_core.placement.process.wire import BEAT_SECONDS

LONGEST_TICK: Final = 2.0
"""Time between two looks counts for no more than this: a server that was itself stopped for a
while (a laptop's lid, a debugger) must not blame the engine."""


class Stall:
    """Two clocks that run only while somebody looks at them.

    One measures how long the work has not moved: no step ended, nothing was reported. The other
    how long nothing at all has come, which tells native code that keeps Python from running from
    a step that merely does not end. The first step may compile, and so may a step that reports
    progress: those have ``compile`` seconds.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._steps = 0
        self._compiling = True
        self._busy = False
        self._unmoved = self._silent = 0.0
        self._looked = time.monotonic()

    def heard(self, steps: int) -> None:
        """A report came, with the number of steps ended so far."""
        self._silent = 0.0
        if steps != self._steps:
            self._steps, self._compiling = steps, False
            self._unmoved = 0.0

    def progressed(self) -> None:
        """The engine says that it is at something long."""
        self._silent = self._unmoved = 0.0
        self._compiling = True

    def look(self, *, busy: bool) -> str | None:
        """Why it must be taken for hung, or None. ``busy``: requests are under way."""
        now = time.monotonic()
        passed = min(now - self._looked, LONGEST_TICK)
        self._looked = now
        self._silent += passed
        self._unmoved = self._unmoved + passed if busy and self._busy else 0.0
        self._busy = busy
        allowed = self._deadlines.compile if self._compiling else self._deadlines.step
        if max(self._unmoved, self._silent) <= allowed:
            return None
        return f"hung in step {self._steps + 1}: for {allowed:g} s {self._sign}"

    @property
    def _sign(self) -> str:
        if self._silent > 3 * BEAT_SECONDS:
            return "nothing came from its process, not even a heartbeat"
        return "the step did not end, while its process was alive"
