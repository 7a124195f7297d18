"""How often, and after which pause, a process that died is started again."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 600.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


class Restarts:
    """At most ``limit`` within ten minutes; each pause is twice the one before."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._times: deque[float] = deque()

    def next_delay(self) -> float | None:
        """Seconds to wait before the next start, which counts from now; None when enough is
        enough.
        """
        now = time.monotonic()
        while self._times and now - self._times[0] > WINDOW_SECONDS:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return None
        self._times.append(now)
        doubled: float = FIRST_PAUSE_SECONDS * 2 ** (len(self._times) - 1)
        return min(LONGEST_PAUSE_SECONDS, doubled)
