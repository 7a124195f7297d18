"""Gumbel-argmax over what temperature, top_k, top_p and min_p leave, in torch.

Rows that cut their candidates off are drawn from their best few, which spares a pass over the
whole vocabulary for each rule; the others from all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from enginebay_core.api import NOISE_MULTIPLIERS, SampleRow, SamplingParams, noise_key
from enginebay_transformers.on_device import put
from enginebay_transformers.torch_order import rank

MASK32: Final = 0xFFFFFFFF
FEW: Final = 256
"""Candidates that are nearly always enough for top_p and min_p."""


def is_cut(params: SamplingParams) -> bool:
    """Whether a rule usually leaves few candidates."""
    return params.top_k > 0 or params.top_p < 1 or params.min_p > 0


class Drawing:
    """The rows at ``wanted``: their logits, noise keys (rows, 2), and ``places`` on the device."""

    def __init__(
        self, logits: torch.Tensor, rows: Sequence[SampleRow], wanted: Sequence[int]
    ) -> None:
        self.rows = [rows[place] for place in wanted]
        self.places = put(wanted, torch.long, logits.device)
        self.logits = logits if len(wanted) == len(rows) else logits[self.places]
        keys = [noise_key(row.params.seed or 0, row.choice, len(row.output)) for row in self.rows]
        self.keys = put(keys, torch.long, logits.device)


def draw_from_best(drawing: Drawing) -> tuple[torch.Tensor, torch.Tensor]:
    """Chosen ids, and whether each is sure: the survivors ended within the candidates."""
    vocab = drawing.logits.shape[-1]
    widest = max((row.params.top_k for row in drawing.rows if row.params.top_k < vocab), default=0)
    return draw(drawing, min(vocab, max(FEW, widest + 1)))


def draw_from_all(drawing: Drawing) -> torch.Tensor:
    logits = drawing.logits
    if any(is_cut(row.params) for row in drawing.rows):
        return draw(drawing, logits.shape[-1])[0]
    ids = torch.arange(logits.shape[-1], device=logits.device).expand_as(logits)
    return pick(scale(logits, drawing.rows), ids, drawing.keys)


def draw(drawing: Drawing, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """From the ``count`` best of each row, of which the rules keep the first so many."""
    logits, params = drawing.logits, [row.params for row in drawing.rows]
    vocab, whole, ids = logits.shape[-1], scale(logits, drawing.rows), rank(logits, count)
    scores = whole.gather(1, ids)
    left = column([each.top_k or vocab for each in params], logits) > torch.arange(
        count, device=logits.device
    )
    left &= scores > -torch.inf
    if any(each.top_p < 1 for each in params):
        left &= keep_top_p(whole, scores, left, drawing.rows)
    if any(each.min_p > 0 for each in params):
        left &= scores.exp() >= column([each.min_p for each in params], logits)
    sure = ~left[:, -1] | (count == vocab)
    return pick(scores.masked_fill(~left, -torch.inf), ids, drawing.keys), sure


def keep_top_p(
    whole: torch.Tensor, scores: torch.Tensor, left: torch.Tensor, rows: Sequence[SampleRow]
) -> torch.Tensor:
    """The fewest highest of each row whose softmax sums to ``top_p`` or more (nucleus sampling,
    arXiv:1904.09751), among those top_k has ``left``. ``scores``, in order, are the best of
    ``whole``.
    """
    weights = scores.exp() * left
    vocab = whole.shape[-1]
    limited = column([0 < row.params.top_k < vocab for row in rows], scores) > 0
    total = torch.where(limited, weights.sum(-1, keepdim=True), whole.exp().sum(-1, keepdim=True))
    mass = column([row.params.top_p for row in rows], scores)
    before = weights.cumsum(dim=-1) - weights
    return (before < mass * total) | (mass >= 1)


def scale(logits: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """Divided by the temperature, the highest of each row at 0; float64."""
    scores = logits.double() - logits.amax(dim=-1, keepdim=True).double()
    return scores / column([row.params.temperature for row in rows], logits)


def pick(scores: torch.Tensor, ids: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """The id with the highest score and noise in sum."""
    noisy = scores + gumbel(keys[:, None, :], ids)
    return ids.gather(1, noisy.argmax(dim=-1, keepdim=True))[:, 0]


def gumbel(keys: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """``enginebay_core.api.gumbel`` with keys (…, 2) that fit ``ids``. int64 products wrap
    around, which leaves their low 32 bits as unsigned ones would have them.
    """
    mixed = mix32(mix32(ids ^ keys[..., 0]) + keys[..., 1])
    uniform = (mixed.double() + 0.5) * 2.0**-32
    return -torch.log(-torch.log(uniform))


def mix32(value: torch.Tensor) -> torch.Tensor:
    value = value & MASK32
    value = ((value ^ (value >> 16)) * NOISE_MULTIPLIERS[0]) & MASK32
    value = ((value ^ (value >> 15)) * NOISE_MULTIPLIERS[1]) & MASK32
    return value ^ (value >> 16)


def column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return put(values, torch.float64, like.device)[:, None]
