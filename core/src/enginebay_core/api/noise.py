"""Noise that depends on nothing but (seed, choice, output index, token id).

A counter-based generator (the idea of Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC'11): no state, so the neighbours in a batch, a restart or another engine cannot
change it. Built from 32-bit integer steps that every array library can repeat exactly.
"""

from __future__ import annotations

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
    noise: npt.NDArray[np.float64] = -np.log(-np.log(_uniform(key, ids)))
    return noise


def gumbel_argmax(
    key: tuple[int, int], ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> int:
    """The id with the highest ``scores + gumbel(key, ids)``, the first of equals.

    Over a whole vocabulary the logarithms are most of the work, so they are spared where an id
    cannot win: to beat ``best`` it needs -log(u) < exp(score - best), and 1 - u is less than
    -log(u).
    """
    if ids.size > FEW:
        likely = np.argpartition(scores, -FEW)[-FEW:]
        best = (scores[likely] + gumbel(key, ids[likely])).max()
        chance = np.exp(np.minimum(scores - best, 0.0))
        able = np.flatnonzero(1.0 - _uniform(key, ids) <= chance)
        ids, scores = ids[able], scores[able]
    return int(ids[(scores + gumbel(key, ids)).argmax()])


def _uniform(key: tuple[int, int], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """In (0, 1), both ends excluded."""
    mixed = _mix32(_mix32(ids.astype(np.uint32) ^ np.uint32(key[0])) + np.uint32(key[1]))
    uniform: npt.NDArray[np.float64] = (mixed.astype(np.float64) + 0.5) * 2.0**-32
    return uniform


def _mix64(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def _mix32(value: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Overflow of uint32 arrays wraps, which is what the mixer wants."""
    value = (value ^ (value >> np.uint32(16))) * np.uint32(NOISE_MULTIPLIERS[0])
    value = (value ^ (value >> np.uint32(15))) * np.uint32(NOISE_MULTIPLIERS[1])
    return value ^ (value >> np.uint32(16))
