"""Noise that depends on nothing but (seed, choice, output index, token id).

A counter-based generator (the idea of Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC'11): no state, so the neighbours in a batch, a restart or another engine cannot
change it. Built from 32-bit integer steps that every array library can repeat exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api.highest import floor_of_highest

Ids: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.uint32]

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
    words = _words(np.array([key], np.uint32), ids[None])
    return int(ids[_argmax(words, scores[None], lambda flat: scores[flat])[0]])


def gumbel_argmax_rows(
    keys: Sequence[tuple[int, int]], logits: npt.NDArray[Any], temperatures: Sequence[float]
) -> list[int]:
    """The same for ``logits`` of shape (rows, vocabulary), each row with a key of its own, and a
    temperature, by which each logit's distance from the best one is divided.
    """
    best, divisors = logits.max(axis=1).astype(np.float64), np.array(temperatures)

    def score(flat: Ids) -> Scores:
        rows = flat // logits.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            scores: Scores = (logits.ravel()[flat] - best[rows]) / divisors[rows]
        return scores

    words = _words(np.array(keys, np.uint32), np.arange(logits.shape[1], dtype=np.uint32)[None])
    places: list[int] = _argmax(words, logits, score).tolist()
    return places


def _argmax(words: Words, heights: npt.NDArray[Any], score: Callable[[Ids], Scores]) -> Ids:
    """For each row the first place with the highest score and noise in sum. Scores, which are
    asked for by flat places, are in the order of ``heights``. Over a whole vocabulary they and the
    logarithms are most of the work, so they are spared where an id cannot win.
    """
    if heights.shape[1] <= 2 * FEW:
        return _race(words, np.ones(heights.shape, np.bool_), score).places
    floor = np.maximum(floor_of_highest(heights, FEW), np.finfo(heights.dtype).min)
    able = ~(heights < floor[:, None])
    likely = _race(words, able, score)
    able |= words >= _luck(likely.lowest - likely.best)[:, None]
    return _race(words, able, score).places


class _Race(NamedTuple):
    """Per row: where the winner is, its total, and the lowest score that took part."""

    places: Ids
    best: Scores
    lowest: Scores


def _race(words: Words, able: npt.NDArray[np.bool_], score: Callable[[Ids], Scores]) -> _Race:
    """Among those who are ``able``, of whom each row has one at least."""
    flat = np.flatnonzero(able)
    rows, places = np.divmod(flat, able.shape[1])
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    scores = score(flat)
    totals = scores + _gumbel(words.ravel()[flat])
    best = np.maximum.reduceat(totals, starts)
    winners = np.flatnonzero(~(totals < best[rows]))
    _, first = np.unique(rows[winners], return_index=True)
    return _Race(places[winners[first]], best, np.minimum.reduceat(scores, starts))


def _luck(lead: Scores) -> Words:
    """The least word that could make up for ``lead``, a score less the total to beat: -log(u) must
    be less than exp(lead), and 1 - u is less than -log(u).
    """
    chance = np.exp(np.fmin(lead, 0.0))
    least: Words = np.maximum(0.0, (1 - chance) * 2.0**32 - 1).astype(np.uint32)
    return least


def _gumbel(words: Words) -> Scores:
    """From 32 random bits; their uniform number lies in (0, 1), both ends excluded."""
    uniform = (words.astype(np.float64) + 0.5) * 2.0**-32
    noise: Scores = -np.log(-np.log(uniform))
    return noise


def _words(keys: Words, ids: Ids | Words) -> Words:
    """32 random bits for each id, of shape (keys, ids)."""
    words = ids.astype(np.uint32, copy=False) ^ keys[:, :1]
    spare = np.empty_like(words)
    _mix32(words, spare)
    words += keys[:, 1:]
    _mix32(words, spare)
    return words


def _mix64(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def _mix32(value: Words, spare: Words) -> None:
    """In place, ``spare`` being of the same shape. Overflow of uint32 arrays wraps, which is what
    the mixer wants.
    """
    value ^= np.right_shift(value, np.uint32(16), out=spare)
    value *= np.uint32(NOISE_MULTIPLIERS[0])
    value ^= np.right_shift(value, np.uint32(15), out=spare)
    value *= np.uint32(NOISE_MULTIPLIERS[1])
    value ^= np.right_shift(value, np.uint32(16), out=spare)
