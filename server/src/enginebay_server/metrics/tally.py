"""A histogram."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Tally:
    """How many values lay at or below each bound, and their sum. Belongs to one event loop, so it
    has no lock.
    """

    __slots__ = ("_edges", "bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._edges = np.array(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add_all(self, values: npt.NDArray[np.float64]) -> None:
        places = np.searchsorted(self._edges, values)
        found = np.bincount(places, minlength=len(self.counts)).tolist()
        self.counts = [sum(pair) for pair in zip(self.counts, found, strict=True)]
        self.sum += float(values.sum())
