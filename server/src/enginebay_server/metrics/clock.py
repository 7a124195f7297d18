"""When the tokens of one sequence come."""

from __future__ import annotations

from array import array
from time import monotonic
from typing import Final

import numpy as np

from enginebay_server.metrics.tally import Tally

TOGETHER: Final = 256
"""Moments that are kept before they are counted: one by one they would cost ten times as much."""


class TokenClock:
    """``tally`` gets the time from each token to the next; nobody, where it is None."""

    __slots__ = ("_first", "_moments", "tally")

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self._first: float | None = None
        self._moments = array("d")

    @property
    def first(self) -> float | None:
        """When the first token came (``time.monotonic``)."""
        if self._first is None and self._moments:
            return self._moments[0]
        return self._first

    def tick(self, tokens: int) -> None:
        """So many have just come."""
        moments = self._moments
        moments.append(monotonic())
        if tokens > 1:
            self._spread(tokens)
        if len(moments) >= TOGETHER:
            self.count()

    def count(self) -> None:
        """Tell the tally what was not yet told."""
        moments = np.array(self._moments)
        if not moments.size:
            return
        self._first = self.first
        self._moments = array("d", moments[-1:].tobytes())
        if self.tally is not None:
            self.tally.add_all(np.diff(moments))

    def _spread(self, tokens: int) -> None:
        """As if those that came together had come one by one; the first ones came at once."""
        now = self._moments.pop()
        since = self._moments[-1] if self._moments else now
        each = (now - since) / tokens
        self._moments.extend(since + each * number for number in range(1, tokens + 1))
