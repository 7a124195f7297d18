"""The torch twin of core's numpy sampler: same rules, same noise, on the logits' own device.

Rows are handled together, and all that the host must know comes back in one copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from enginebay_core.api import NumpySampling, Sampled, SampleRow, TokenLogprob, sample_row
from enginebay_transformers.on_device import put
from enginebay_transformers.torch_adjust import adjust, changes_logits
from enginebay_transformers.torch_draw import Drawing, draw_from_all, draw_from_best, is_cut
from enginebay_transformers.torch_order import rank


class TorchSampling:
    """Mixin for a StepEngine whose logits are a torch tensor of shape (rows, vocabulary)."""

    def sample(self, logits: torch.Tensor, rows: Sequence[SampleRow]) -> list[Sampled]:
        """One choice per row, by the rules of ``NumpySampling``; ``logits`` is not changed.

        In the processor's own memory numpy itself is several times faster; mps, which has no
        float64, hands its logits over too.
        """
        with torch.inference_mode():
            if logits.device.type not in ("cpu", "mps"):
                return sample_rows(logits, rows)
            if all(is_plain(row) for row in rows):
                own = pick_rows(logits, rows).cpu()
                return [Sampled(token) for token in find_best(own)]
            if any(row.mask is not None for row in rows):
                return [sample_alone(logits, row) for row in rows]
            return NumpySampling().sample(logits.float().cpu().numpy(), rows)


def sample_alone(logits: torch.Tensor, row: SampleRow) -> Sampled:
    """One row after the other, as a mask is read; each stays in the processor's cache."""
    own = logits[row.index]
    if is_plain(row):
        return Sampled(find_best(own[None].cpu())[0])
    return sample_row(own.float().cpu().numpy(), row)


def is_plain(row: SampleRow) -> bool:
    """Greedy over the logits as they are, and nothing else asked."""
    params = row.params
    return params.temperature == 0 and params.logprobs is None and not changes_logits(row)


def find_best(logits: torch.Tensor) -> list[int]:
    """The first highest of each row, in the processor's memory. Positive floats order as their
    bits do, and torch compares 16-bit floats many times slower than numpy 16-bit integers; floats
    of 32 bits a few times slower than numpy does row by row.
    """
    if logits.dtype in (torch.bfloat16, torch.float16):
        bits = logits.view(torch.int16).numpy()
        best = bits.argmax(axis=-1)
        if (bits.max(axis=-1) > 0).all():
            return [int(token) for token in best]
    return [int(row.argmax()) for row in logits.float().numpy()]


def pick_rows(logits: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    places = [row.index for row in rows]
    if places == list(range(len(logits))):
        return logits
    return logits[put(places, torch.long, logits.device)]


def sample_rows(logits: torch.Tensor, rows: Sequence[SampleRow]) -> list[Sampled]:
    """The twin itself, on any device with float64."""
    own = pick_rows(logits, rows)
    if all(is_plain(row) for row in rows):
        return [Sampled(token) for token in own.argmax(dim=-1).tolist()]
    own = own.float()
    adjusted = adjust(own, rows)
    chosen = adjusted.argmax(dim=-1)
    sure = torch.ones_like(chosen, dtype=torch.bool)
    drawn = [i for i, row in enumerate(rows) if row.params.temperature > 0]
    cut = [i for i in drawn if is_cut(rows[i].params)]
    if cut:
        drawing = Drawing(adjusted, rows, cut)
        chosen[drawing.places], sure[drawing.places] = draw_from_best(drawing)
    if len(cut) < len(drawn):
        drawing = Drawing(adjusted, rows, sorted({*drawn} - {*cut}))
        chosen[drawing.places] = draw_from_all(drawing)
    sampled = fetch(own, chosen, sure, rows)
    if None in sampled:  # hardly ever: more ids are left than were looked at
        drawing = Drawing(adjusted, rows, [i for i, each in enumerate(sampled) if each is None])
        chosen[drawing.places] = draw_from_all(drawing)
        sampled = fetch(own, chosen, torch.ones_like(sure), rows)
    return [each for each in sampled if each is not None]


def fetch(
    logits: torch.Tensor, chosen: torch.Tensor, sure: torch.Tensor, rows: Sequence[SampleRow]
) -> list[Sampled | None]:
    """Choices and the logprobs that were asked for, in one copy to the host; None where not
    ``sure``. Logprobs travel as the integers that have their bits.
    """
    columns = [chosen[:, None], sure[:, None].long()]
    asked = [row.params.logprobs for row in rows if row.params.logprobs is not None]
    wanted = min(max(asked), logits.shape[-1]) if asked else None
    if wanted is not None:
        columns += logprob_columns(logits, chosen, wanted)
    table = torch.cat(columns, dim=1).cpu()
    ids, flags = table[:, 0].tolist(), table[:, 1].tolist()
    if wanted is None:
        return [Sampled(token) if flag else None for token, flag in zip(ids, flags, strict=True)]
    logprobs = table[:, 2 : 3 + wanted].contiguous().view(torch.float64).tolist()
    tops = table[:, 3 + wanted :].tolist()
    return [
        read_row(row, token, values, top) if flag else None
        for row, token, flag, values, top in zip(rows, ids, flags, logprobs, tops, strict=True)
    ]


def logprob_columns(logits: torch.Tensor, chosen: torch.Tensor, wanted: int) -> list[torch.Tensor]:
    """As integers: the chosen id's logprob and those of the ``wanted`` best; then the best ids."""
    shifted = logits.double() - logits.amax(dim=-1, keepdim=True).double()
    logprobs = shifted - shifted.exp().sum(dim=-1, keepdim=True).log()
    best = rank(logits, wanted)
    ids = torch.cat([chosen[:, None], best], dim=1)
    return [logprobs.gather(1, ids).view(torch.int64), best]


def read_row(row: SampleRow, token: int, values: list[float], top: list[int]) -> Sampled:
    wanted = row.params.logprobs
    if wanted is None:
        return Sampled(token)
    pairs = zip(top[:wanted], values[1:], strict=False)
    return Sampled(token, values[0], tuple(TokenLogprob(*pair) for pair in pairs))
