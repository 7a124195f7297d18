"""Penalties, bias, mask and bans on the logits' own device, rows together, in the fixed order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from enginebay_core.api import SamplerMemory, SampleRow
from enginebay_transformers.on_device import put


def changes_logits(row: SampleRow) -> bool:
    params = row.params
    return bool(params.counts_ids or params.logit_bias or row.banned or row.mask is not None)


def adjust(logits: torch.Tensor, rows: Sequence[SampleRow]) -> torch.Tensor:
    """(rows, vocabulary) in float32; ``logits`` itself where nothing applies, else a copy."""
    if not any(changes_logits(row) for row in rows):
        return logits
    adjusted = logits.clone()
    penalize(adjusted, rows)
    add_bias(adjusted, rows)
    mask(adjusted, rows)
    ban(adjusted, rows)
    return adjusted


def penalize(logits: torch.Tensor, rows: Sequence[SampleRow]) -> None:
    """In place, as all of these, the rows that count ids."""
    places = [i for i, row in enumerate(rows) if row.params.counts_ids]
    if not places:
        return
    where, params = put(places, torch.long, logits.device), [rows[i].params for i in places]
    counts = [count_ids(rows[i].memory, rows[i], logits) for i in places]
    prompt = torch.stack([each.prompt for each in counts])
    output = torch.stack([each.output for each in counts])
    own, used = logits[where], output > 0
    factor = column([each.repetition_penalty for each in params], own)
    scaled = torch.where(own > 0, own / factor, own * factor)
    own = torch.where((prompt | used) & (factor != 1), scaled, own)
    # numpy multiplies float32 by counts in float64, and by flags in float32
    frequency = column([each.frequency_penalty for each in params], own).double()
    own = (own.double() - frequency * output).float()
    logits[where] = own - column([each.presence_penalty for each in params], own) * used


def add_bias(logits: torch.Tensor, rows: Sequence[SampleRow]) -> None:
    entries = [(i, *bias) for i, row in enumerate(rows) for bias in row.params.logit_bias.items()]
    if entries:
        places, ids, values = zip(*entries, strict=True)
        row, token = put([places, ids], torch.long, logits.device)
        logits[row, token] += put(values, torch.float32, logits.device)


def mask(logits: torch.Tensor, rows: Sequence[SampleRow]) -> None:
    places = [i for i, row in enumerate(rows) if row.mask is not None]
    if places:
        where = put(places, torch.long, logits.device)
        words = np.stack([rows[i].mask for i in places])  # type: ignore[misc]  # none is None
        seen = unpack_masks(put(words, torch.int32, logits.device), logits.shape[-1])
        logits[where] = logits[where].masked_fill(~seen, -torch.inf)


def ban(logits: torch.Tensor, rows: Sequence[SampleRow]) -> None:
    banned = [(i, token) for i, row in enumerate(rows) for token in row.banned]
    if banned:
        row, token = put(list(zip(*banned, strict=True)), torch.long, logits.device)
        logits[row, token] = -torch.inf


class Counts:
    """Which ids a sequence holds so far, on the device: prompt as flags, output as counts."""

    __slots__ = ("output", "prompt", "taken")

    def __init__(self, prompt: Sequence[int], logits: torch.Tensor) -> None:
        self.prompt = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        self.prompt[put(list(prompt), torch.long, logits.device)] = True
        self.output = torch.zeros(logits.shape[-1], dtype=torch.float64, device=logits.device)
        self.taken = 0

    def take(self, output: Sequence[int]) -> None:
        """Count what has been added to ``output`` since the last call."""
        fresh = [output[position] for position in range(self.taken, len(output))]
        ids = put(fresh, torch.long, self.output.device)
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


def unpack_masks(words: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """(masks, vocabulary) flags from one bit per id, little end first."""
    bits = torch.arange(32, dtype=torch.int32, device=words.device)
    flags = (words[:, :, None] >> bits) & 1
    return flags.flatten(1)[:, :vocab_size].bool()


def column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return put(values, torch.float32, like.device)[:, None]
