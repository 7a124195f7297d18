"""Noise that depends on nothing but (seed, choice, output index, token id).

A counter-based generator (the idea of Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC'11): no state, so the neighbours in a batch, a restart or another engine cannot
change it. Built from 32-bit integer steps that every array library can repeat exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

NOISE_MULTIPLIERS: Final = (0x7FEB352D, 0x846CA68B)
"""Of the 32-bit mixer ``lowbias32`` (Chris Wellons, nullprogram.com, 2018)."""

FEW: Final = 256
"""Ids whose noise costs less than finding out which of them could win."""

_MASK32: Final = 0xFFFFFFFF
_MASK64: Final = 0xFFFFFFFFFFFFFFFF


def noise_key(seed: int, choice: int, index: int) -> tuple[int, int]:
    """Two 32-bit words that stand for one place in the output: splitmix64 (Steele et al., 2014)
    over the three numbers in turn.
    """
    state = seed & _MASK64
    for number in (choice, index):
        state = _mix64((state + 0x9E3779B97F4A7C15 + number) & _MASK64)
    return state >> 32, state & _MASK32


def gumbel(key: tuple[int, int], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Standard Gumbel noise for each id: adding it to logits and taking the argmax samples from
    their softmax (Gumbel, 1954; Maddison et al., 2014).
    """
    return _gumbel(_words(np.array([key], np.uint32), ids[None])[0])


def gumbel_argmax(
    key: tuple[int, int], ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> int:
    """The id with the highest ``scores + gumbel(key, ids)``, the first of equals."""
    return int(ids[_argmax([key], ids[None], scores[None])[0]])


def gumbel_argmax_rows(
    keys: Sequence[tuple[int, int]], scores: npt.NDArray[np.float64]
) -> list[int]:
    """The same for ``scores`` of shape (rows, vocabulary), each row with its own key."""
    best: list[int] = _argmax(keys, np.arange(scores.shape[1])[None], scores).tolist()
    return best


def _argmax(
    keys: Sequence[tuple[int, int]], ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Places in the rows of ``scores``; ``ids`` has one row for each, or one for all."""
    words = _words(np.array(keys, np.uint32), ids)
    able = _able(words, scores)
    rows, places = np.nonzero(able)
    totals = scores[able] + _gumbel(words[able])
    highest = np.maximum.reduceat(totals, np.flatnonzero(np.diff(rows, prepend=-1)))
    winners = np.flatnonzero(totals == highest[rows])
    _, first = np.unique(rows[winners], return_index=True)
    best: npt.NDArray[np.int64] = places[winners[first]]
    return best


def _able(words: npt.NDArray[np.uint32], scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """What could win. Over a whole vocabulary the logarithms are most of the work, so they are
    spared where an id cannot: to beat the ``best`` of the likely ones, another needs -log(u) <
    exp(score - best), where its score is at most ``least``, and 1 - u is less than -log(u).
    """
    if scores.shape[1] <= FEW:
        return np.ones(scores.shape, np.bool_)
    likely = np.argpartition(scores, -FEW, axis=1)[:, -FEW:]
    high = np.take_along_axis(scores, likely, 1)
    best = (high + _gumbel(np.take_along_axis(words, likely, 1))).max(1)
    chance = np.exp(np.minimum(high.min(1) - best, 0.0))
    lucky = np.maximum(0.0, (1.0 - chance) * 2.0**32 - 1).astype(np.uint32)
    able: npt.NDArray[np.bool_] = words >= lucky[:, None]
    np.put_along_axis(able, likely, True, 1)
    return able


def _gumbel(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """From 32 random bits; their uniform number lies in (0, 1), both ends excluded."""
    uniform = (words.astype(np.float64) + 0.5) * 2.0**-32
    noise: npt.NDArray[np.float64] = -np.log(-np.log(uniform))
    return noise


def _words(keys: npt.NDArray[np.uint32], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """32 random bits for each id, of shape (keys, ids)."""
    words = ids.astype(np.uint32) ^ keys[:, :1]
    _mix32(words)
    words += keys[:, 1:]
    _mix32(words)
    return words


def _mix64(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def _mix32(value: npt.NDArray[np.uint32]) -> None:
    """In place. Overflow of uint32 arrays wraps, which is what the mixer wants."""
    value ^= value >> np.uint32(16)
    value *= np.uint32(NOISE_MULTIPLIERS[0])
    value ^= value >> np.uint32(15)
    value *= np.uint32(NOISE_MULTIPLIERS[1])
    value ^= value >> np.uint32(16)
