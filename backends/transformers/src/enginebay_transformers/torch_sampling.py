"""The torch twin of core's numpy sampler: same rules, same noise, on the logits' own device.

Only ids (and the logprobs that were asked for) leave the device. Rows are handled together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from enginebay_core.api import (
    NOISE_MULTIPLIERS,
    NumpySampling,
    Sampled,
    SamplerMemory,
    SampleRow,
    TokenLogprob,
    noise_key,
)

MASK32: Final = 0xFFFFFFFF
FEW: Final = 256
"""Scores sorted at first for top_p: nearly always enough, and far cheaper than all."""


class TorchSampling:
    """Mixin for a StepEngine whose logits are a torch tensor of shape (rows, vocabulary)."""

    def sample(self, logits: torch.Tensor, rows: Sequence[SampleRow]) -> list[Sampled]:
        """One choice per row, by the rules of ``NumpySampling``; ``logits`` is not changed.

        In the processor's own memory numpy itself is several times faster; mps, which has no
        float64, hands its logits over too.
        """
        if logits.device.type in ("cpu", "mps"):
            return NumpySampling().sample(logits.float().cpu().numpy(), rows)
        with torch.inference_mode():
            return sample_rows(logits, rows)


def sample_rows(logits: torch.Tensor, rows: Sequence[SampleRow]) -> list[Sampled]:
    """The twin itself, on any device with float64."""
    own = logits[[row.index for row in rows]].float()
    adjusted = adjust(own, rows)
    chosen = adjusted.argmax(dim=-1)
    random = [place for place, row in enumerate(rows) if row.params.temperature > 0]
    if random:
        chosen[random] = draw(adjusted[random], [rows[place] for place in random])
    ids: list[int] = chosen.tolist()
    return [with_logprobs(token, own[i], rows[i]) for i, token in enumerate(ids)]


def adjust(logits: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """Penalties, bias, mask and bans, row by row where there are any; float32."""
    changes = [place for place, row in enumerate(rows) if changes_logits(row)]
    if not changes:
        return logits
    adjusted = logits.clone()
    for place in changes:
        adjust_row(adjusted[place], rows[place])
    return adjusted


def changes_logits(row: SampleRow) -> bool:
    params = row.params
    return bool(params.counts_ids or params.logit_bias or row.banned or row.mask is not None)


def adjust_row(logits: torch.Tensor, row: SampleRow) -> None:
    """In place, in the fixed order."""
    if row.params.counts_ids:
        penalize(logits, row)
    if row.params.logit_bias:
        ids = torch.tensor(list(row.params.logit_bias), device=logits.device)
        logits[ids] += torch.tensor(
            list(row.params.logit_bias.values()), dtype=torch.float32, device=logits.device
        )
    if row.mask is not None:
        logits[~unpack_mask(row.mask, logits)] = -torch.inf
    if row.banned:
        logits[torch.tensor(list(row.banned), device=logits.device)] = -torch.inf


def penalize(logits: torch.Tensor, row: SampleRow) -> None:
    params, counts = row.params, count_ids(row.memory, row, logits)
    used = counts.output > 0
    if params.repetition_penalty != 1:
        factor = torch.tensor(params.repetition_penalty, dtype=torch.float32)
        scaled = torch.where(logits > 0, logits / factor, logits * factor)
        logits.copy_(torch.where(counts.prompt | used, scaled, logits))
    # numpy multiplies float32 by counts in float64, and by flags in float32
    frequency = np.float32(params.frequency_penalty).item()
    logits.copy_(logits.double() - frequency * counts.output)
    logits -= torch.tensor(params.presence_penalty, dtype=torch.float32) * used


class Counts:
    """Which ids a sequence holds so far, on the device: prompt as flags, output as counts."""

    __slots__ = ("output", "prompt", "taken")

    def __init__(self, prompt: Sequence[int], logits: torch.Tensor) -> None:
        self.prompt = torch.zeros(logits.shape[0], dtype=torch.bool, device=logits.device)
        self.prompt[torch.tensor(list(prompt), dtype=torch.long, device=logits.device)] = True
        self.output = torch.zeros(logits.shape[0], dtype=torch.float64, device=logits.device)
        self.taken = 0

    def take(self, output: Sequence[int]) -> None:
        """Count what has been added to ``output`` since the last call."""
        fresh = [output[position] for position in range(self.taken, len(output))]
        ids = torch.tensor(fresh, dtype=torch.long, device=self.output.device)
        ones = torch.ones_like(ids, dtype=torch.float64)
        self.output.index_put_((ids,), ones, accumulate=True)
        self.taken = len(output)


def count_ids(memory: SamplerMemory, row: SampleRow, logits: torch.Tensor) -> Counts:
    """The row's counts, updated by what is new and never rebuilt."""
    if memory.kept is None:
        memory.kept = Counts(row.prompt, logits)
    counts: Counts = memory.kept
    counts.take(row.output)
    return counts


def unpack_mask(
    mask: np.ndarray[tuple[int], np.dtype[np.int32]], like: torch.Tensor
) -> torch.Tensor:
    """One flag per id of ``like`` from one bit per id, little end first."""
    words = torch.from_numpy(mask).to(like.device)
    bits = torch.arange(32, dtype=torch.int32, device=like.device)
    flags = (words[:, None] >> bits) & 1
    return flags.flatten()[: like.shape[0]].bool()


def draw(logits: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """Gumbel-argmax over what temperature, top_k, top_p and min_p leave."""
    scores = logits.double() - logits.amax(dim=-1, keepdim=True).double()
    scores /= column([row.params.temperature for row in rows], logits)
    places, ids = survivors(scores, rows).nonzero(as_tuple=True)
    keys = [noise_key(row.params.seed or 0, row.choice, len(row.output)) for row in rows]
    noisy = torch.full_like(scores, -torch.inf)
    noise = gumbel(torch.tensor(keys, device=logits.device)[places], ids)
    noisy[places, ids] = scores[places, ids] + noise
    return noisy.argmax(dim=-1)


def survivors(scores: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """Flags of the ids that may be drawn. ``scores`` has its maximum at 0 in each row."""
    left = scores > -torch.inf
    vocab = scores.shape[-1]
    if any(row.params.top_k for row in rows):
        counts = [min(row.params.top_k or vocab, vocab) for row in rows]
        left &= keep_top_k(scores, counts)
    if any(row.params.top_p < 1 for row in rows):
        left &= keep_top_p(scores.masked_fill(~left, -torch.inf), rows)
    if any(row.params.min_p > 0 for row in rows):
        left &= scores.exp() >= column([row.params.min_p for row in rows], scores)
    return left


def keep_top_k(scores: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """The ``counts`` highest of each row; a row that wants all of them keeps all."""
    vocab = scores.shape[-1]
    limited = [count for count in counts if count < vocab]
    if not limited:
        return torch.ones_like(scores, dtype=torch.bool)
    highest = scores.topk(max(limited), dim=-1).values
    edges = torch.tensor([min(count, max(limited)) - 1 for count in counts], device=scores.device)
    wanted = torch.tensor(counts, device=scores.device)[:, None]
    kept = keep_from_edge(scores, highest.gather(1, edges[:, None]), wanted)
    return kept | (wanted >= vocab)


def keep_top_p(scores: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """The fewest highest of each row whose softmax sums to ``top_p`` or more
    (nucleus sampling, arXiv:1904.09751). Gone ids have a score of minus infinity.
    """
    mass = column([row.params.top_p for row in rows], scores)
    wanted = mass * scores.exp().sum(dim=-1, keepdim=True)
    for count in (min(FEW, scores.shape[-1]), scores.shape[-1]):
        highest = scores.topk(count, dim=-1).values
        summed = highest.exp().cumsum(dim=-1)
        if bool(((summed[:, -1:] >= wanted) | (mass >= 1)).all()):
            break
    last = torch.searchsorted(summed, wanted).clamp_(max=highest.shape[-1] - 1)
    return keep_from_edge(scores, highest.gather(1, last), last + 1) | (mass >= 1)


def keep_from_edge(scores: torch.Tensor, edge: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """All above ``edge``, and of those level with it the lowest ids, ``counts`` in sum."""
    above, level = scores > edge, scores == edge
    room = counts - above.sum(dim=-1, keepdim=True)
    return above | (level & (level.cumsum(dim=-1) <= room))


def gumbel(keys: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """``enginebay_core.api.gumbel`` with one key per id. int64 products wrap around, which
    leaves their low 32 bits as unsigned ones would have them.
    """
    mixed = mix32(mix32(ids ^ keys[:, 0]) + keys[:, 1])
    uniform = (mixed.double() + 0.5) * 2.0**-32
    return -torch.log(-torch.log(uniform))


def mix32(value: torch.Tensor) -> torch.Tensor:
    value = value & MASK32
    value = ((value ^ (value >> 16)) * NOISE_MULTIPLIERS[0]) & MASK32
    value = ((value ^ (value >> 15)) * NOISE_MULTIPLIERS[1]) & MASK32
    return value ^ (value >> 16)


def column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)[:, None]


def with_logprobs(chosen: int, logits: torch.Tensor, row: SampleRow) -> Sampled:
    """Add what ``params.logprobs`` asked for, from the unmodified distribution."""
    wanted = row.params.logprobs
    if wanted is None:
        return Sampled(chosen)
    shifted = logits.double() - logits.max()
    logprobs = shifted - shifted.exp().sum().log()
    if wanted == 0:
        return Sampled(chosen, float(logprobs[chosen]))
    best = keep_top_k(logprobs[None], [wanted])[0].nonzero()[:, 0]
    order = best[torch.argsort(logprobs[best], descending=True, stable=True)]
    top = zip(order.tolist(), logprobs[order].tolist(), strict=True)
    return Sampled(
        chosen, float(logprobs[chosen]), tuple(TokenLogprob(token, value) for token, value in top)
    )
