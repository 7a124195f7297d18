"""The reference sampler: what every other sampler is held equal to.

The order is fixed: penalties, bias, mask, temperature, top_k, top_p, min_p, then Gumbel-argmax
over the survivors, ties to the lowest id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api.highest import keep_top_k
from enginebay_core.api.noise import gumbel_argmax, gumbel_argmax_rows, noise_key
from enginebay_core.api.sampling import (
    Sampled,
    SamplerMemory,
    SampleRow,
    SamplingParams,
    TokenLogprob,
)

Floats: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]


IN_CACHE = 2**17
"""Logits that are worked on at once."""

_FEW_WORDS = 1024
"""Words of a mask whose ids are looked at one by one."""

_NUCLEUS_TRIES = (256, 4096, 32_768, 2**31)


class NumpySampling:
    """Mixin for a StepEngine whose logits are a numpy array of shape (rows, vocabulary)."""

    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        """One choice per row; ``logits`` is not changed."""
        if len(rows) == 1:
            return [sample_row(logits[rows[0].index], rows[0])]
        chosen: dict[int, Sampled] = {}
        for sample, kind in ((_sample_greedy, _plainly_greedy), (_sample_drawn, _plainly_drawn)):
            group = [row for row in rows if kind(row)]
            if group:
                chosen |= zip((id(row) for row in group), sample(logits, group), strict=True)
        return [chosen.get(id(row)) or sample_row(logits[row.index], row) for row in rows]


def sample_row(logits: Floats, row: SampleRow) -> Sampled:
    """Choose one id from ``logits`` of shape (vocabulary,)."""
    ids = ids_of_mask(row, logits)
    if ids is None:
        chosen = _choose(adjust(logits, row), row)
    elif row.params.temperature == 0:
        chosen = int(ids[logits[ids].argmax()])
    else:
        places, scores = survivors(logits[ids], row.params)
        chosen = gumbel_argmax(_key(row), ids[places], scores)
    return with_logprobs(chosen, logits, row.params.logprobs)


def ids_of_mask(row: SampleRow, logits: Floats) -> Ids | None:
    """All that can be chosen, ascending, where nothing but a mask says so and they are few; None
    where the whole vocabulary has to be looked at. A row that would choose an allowed id without
    the mask needs no other.
    """
    mask, params = row.mask, row.params
    if mask is None or row.banned or params.logit_bias or params.counts_ids:
        return None
    words = np.flatnonzero(mask)
    if params.temperature == 0 or words.size > _FEW_WORDS:
        best = _unmasked(logits, row)
        if best is not None and mask[best // 32] >> best % 32 & 1:
            return np.array([best])
    if not 0 < words.size <= _FEW_WORDS:
        return None
    flags = np.unpackbits(mask[words].view(np.uint8), bitorder="little").view(np.bool_)
    ids: Ids = (words[:, None] * 32 + np.arange(32))[flags.reshape(-1, 32)]
    return ids[ids < logits.size]


def _unmasked(logits: Floats, row: SampleRow) -> int | None:
    """What the row would choose of all ids: each has its own noise, whichever others there are.
    None where that depends on the others.
    """
    if row.params.temperature == 0:
        return int(logits.argmax())
    if _cuts(row):
        return None
    return gumbel_argmax_rows([_key(row)], logits[None], [row.params.temperature])[0]


def _choose(adjusted: Floats, row: SampleRow) -> int:
    if row.params.temperature == 0:
        return int(adjusted.argmax())
    ids, scores = survivors_of_row(adjusted, row)
    return gumbel_argmax(_key(row), ids, scores)


def _key(row: SampleRow) -> tuple[int, int]:
    return noise_key(row.params.seed or 0, row.choice, len(row.output))


def _sample_greedy(logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
    """Row by row where rows are long: picking them out is a copy, which costs more than looking."""
    if logits.shape[1] > IN_CACHE // 4:
        return [Sampled(int(logits[row.index].argmax())) for row in rows]
    best = logits[[row.index for row in rows]].argmax(axis=-1)
    return [Sampled(token) for token in best.tolist()]


def _sample_drawn(logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
    """From the whole vocabulary, as many rows at once as stay in the processor's cache."""
    count = max(1, IN_CACHE // logits.shape[1])
    chosen: list[int] = []
    for start in range(0, len(rows), count):
        some = rows[start : start + count]
        keys = [_key(row) for row in some]
        own = logits[some[0].index][None] if count == 1 else logits[[row.index for row in some]]
        chosen += gumbel_argmax_rows(keys, own, [row.params.temperature for row in some])
    return [Sampled(token) for token in chosen]


def _plainly_greedy(row: SampleRow) -> bool:
    return row.params.temperature == 0 and _plain(row)


def _plainly_drawn(row: SampleRow) -> bool:
    return row.params.temperature > 0 and not _cuts(row) and _plain(row)


def _cuts(row: SampleRow) -> bool:
    params = row.params
    return params.top_k > 0 or params.top_p < 1 or params.min_p > 0


def _plain(row: SampleRow) -> bool:
    return row.params.logprobs is None and not _adjusts(row)


def _adjusts(row: SampleRow) -> bool:
    params = row.params
    return bool(row.banned or params.logit_bias or row.mask is not None or params.counts_ids)


def adjust(logits: Floats, row: SampleRow) -> Floats:
    """Penalties, bias and mask. Returns ``logits`` itself where none applies, else a copy."""
    if not _adjusts(row):
        return logits
    params = row.params
    adjusted = logits.astype(np.float32, copy=True)
    if params.counts_ids:
        penalize(adjusted, row)
    for token, bias in params.logit_bias.items():
        adjusted[token] += np.float32(bias)
    if row.mask is not None:
        np.copyto(adjusted, -np.inf, where=~unpack_mask(row.mask, adjusted.size))
    if row.banned:
        adjusted[list(row.banned)] = -np.inf
    return adjusted


def penalize(logits: Floats, row: SampleRow) -> None:
    """Apply the three penalties to ``logits`` in place."""
    params, counts = row.params, count_ids(row.memory, row, logits.size)
    held = counts.held
    if params.repetition_penalty != 1:
        factor, own = np.float32(params.repetition_penalty), logits[held]
        logits[held] = np.where(own > 0, own / factor, own * factor)
    times = counts.output[held]
    logits[held] -= np.float32(params.frequency_penalty) * times
    logits[held] -= np.float32(params.presence_penalty) * (times > 0)


class Counts:
    """Which ids a sequence holds so far: each of them once in ``held``, and in ``output`` how
    often it came in the output.
    """

    __slots__ = ("_count", "_held", "output", "taken")

    def __init__(self, prompt: Sequence[int], vocab_size: int) -> None:
        distinct = np.unique(np.array(prompt, np.int64))
        self._count = distinct.size
        self._held = np.resize(distinct, 2 * distinct.size + 64)
        self.output = np.zeros(vocab_size, dtype=np.int32)
        self.taken = 0

    @property
    def held(self) -> Ids:
        return self._held[: self._count]

    def take(self, output: Sequence[int]) -> None:
        """Count what has been added to ``output`` since the last call."""
        for position in range(self.taken, len(output)):
            token = output[position]
            if not self.output[token] and token not in self.held:
                self._hold(token)
            self.output[token] += 1
        self.taken = len(output)

    def _hold(self, token: int) -> None:
        if self._count == self._held.size:
            self._held = np.resize(self._held, 2 * self._count)
        self._held[self._count] = token
        self._count += 1


def count_ids(memory: SamplerMemory, row: SampleRow, vocab_size: int) -> Counts:
    """The row's counts, updated by what is new and never rebuilt."""
    if memory.kept is None:
        memory.kept = Counts(row.prompt, vocab_size)
    counts: Counts = memory.kept
    counts.take(row.output)
    return counts


def unpack_mask(mask: npt.NDArray[np.int32], vocab_size: int) -> npt.NDArray[np.bool_]:
    """One flag per id from one bit per id, little end first."""
    flags = np.unpackbits(mask.view(np.uint8), bitorder="little", count=vocab_size)
    return flags.view(np.bool_)


def survivors_of_row(adjusted: Floats, row: SampleRow) -> tuple[Ids, npt.NDArray[np.float64]]:
    """As ``survivors``; of a mask that leaves few ids, no more than these are looked at."""
    if row.mask is None:
        return survivors(adjusted, row.params)
    left: Ids = np.flatnonzero(adjusted > -np.inf)
    if not left.size:
        return survivors(adjusted, row.params)
    ids, scores = survivors(adjusted[left], row.params)
    return left[ids], scores


def survivors(logits: Floats, params: SamplingParams) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The ids that temperature, top_k, top_p and min_p leave, ascending, and their scaled
    logits. The most likely id always survives.
    """
    if 0 < params.top_k < logits.size:
        ids = keep_top_k(logits, params.top_k)  # the temperature leaves the order as it is
        scores = _scale(logits[ids], params.temperature)
    else:
        ids = np.arange(logits.size)
        scores = _scale(logits, params.temperature)
    if params.top_p < 1:
        left = keep_top_p(scores, params.top_p)
        ids, scores = ids[left], scores[left]
    if params.min_p > 0:
        left = keep_min_p(scores, params.min_p)
        ids, scores = ids[left], scores[left]
    return ids, scores


def _scale(logits: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """Below the best, which is 0, and divided by the temperature."""
    # at a temperature near 0 all but the best end at -inf; all may be banned
    with np.errstate(over="ignore", invalid="ignore"):
        scores: npt.NDArray[np.float64] = np.subtract(logits, logits.max(), dtype=np.float64)
        scores /= temperature
    return scores


def keep_top_p(scores: npt.NDArray[np.float64], mass: float) -> Ids:
    """Ascending positions of the fewest highest scores whose softmax sums to ``mass`` or more
    (nucleus sampling, arXiv:1904.09751); equal scores are taken from the lowest position on.
    """
    weights = np.exp(scores)
    wanted = mass * weights.sum()
    for count in _NUCLEUS_TRIES:  # sorting a whole vocabulary costs ten times the rest
        top = keep_top_k(scores, count) if count < scores.size else np.arange(scores.size)
        order = top[np.argsort(-scores[top], kind="stable")]
        summed = np.cumsum(weights[order])
        if summed[-1] >= wanted or top.size == scores.size:
            break
    return np.sort(order[: int(np.searchsorted(summed, wanted)) + 1])


def keep_min_p(scores: npt.NDArray[np.float64], share: float) -> Ids:
    """Ascending positions of what is at least ``share`` times as likely as the best, which is 0."""
    near = np.flatnonzero(~(scores < np.log(share) - 1e-6))
    kept: Ids = near[~(np.exp(scores[near]) < share)]
    return kept


def with_logprobs(chosen: int, logits: Floats, wanted: int | None) -> Sampled:
    """Add what ``params.logprobs`` asked for, from the unmodified distribution."""
    if wanted is None:
        return Sampled(chosen)
    shifted = logits.astype(np.float64) - logits.max()
    logprobs = shifted - np.log(np.exp(shifted).sum())
    best = keep_top_k(logprobs, min(wanted, logprobs.size)) if wanted else np.arange(0)
    ordered = best[np.argsort(-logprobs[best], kind="stable")]
    top = tuple(TokenLogprob(int(token), float(logprobs[token])) for token in ordered)
    return Sampled(chosen, float(logprobs[chosen]), top)
