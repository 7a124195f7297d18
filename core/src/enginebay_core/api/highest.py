"""The highest of very many values, without sorting or partitioning them all."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOST_LANES: Final = 64
FEWEST_BLOCKS: Final = 8
"""For each value that is wanted: then two of them seldom share a block."""


def floor_of_highest(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """For each row of ``values`` (rows, width) a bound that at least ``count`` of its values
    reach, and seldom many more: the ``count``-th highest of the best ones of small blocks. A block
    is every so-manieth value, so that all blocks' best are found by comparing whole lanes.
    """
    rows, width = values.shape
    lanes = min(MOST_LANES, max(1, width // (FEWEST_BLOCKS * count)))
    blocks = width // lanes
    best = values[:, : lanes * blocks].reshape(rows, lanes, blocks).max(axis=1)
    floor: npt.NDArray[Any] = np.partition(best, blocks - count, axis=1)[:, blocks - count]
    return floor


def keep_top_k(scores: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Ascending positions of the ``count`` highest scores; at the edge the lowest position wins.
    What is no number counts as high, so that there are always so many.
    """
    near = np.flatnonzero(~(scores < floor_of_highest(scores[None], count)))
    scores = scores[near]
    edge = np.partition(scores, scores.size - count)[scores.size - count]
    above = scores > edge
    level = np.flatnonzero(~(above | (scores < edge)))
    above[level[: count - np.count_nonzero(above)]] = True
    kept: npt.NDArray[np.int64] = near[above]
    return kept
