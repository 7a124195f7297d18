"""Rows of one id each, and what a kernel that attends for all of them at once is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch


class DecodeRows(NamedTuple):
    """Where each row's keys lie: its slot, and how many entries it sees, its own the last of
    them. Integer tensors of shape (rows,). A length of 0 marks a row that only fills a batch up.
    """

    slots: torch.Tensor
    lengths: torch.Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """How a layer turns queries and keys into weights. ``sinks``, one per query head, take weight
    and give nothing (GPT-OSS). A decode row sees its last ``window`` entries, or with 0 all.
    """

    scaling: float | None = None
    softcap: float | None = None
    sinks: torch.Tensor | None = None
    window: int = 0

    def scale(self, dim: int) -> float:
        return float(dim**-0.5 if self.scaling is None else self.scaling)


class DecodeKernel(Protocol):
    """One query per row, over the slots themselves, reading no more than each row holds."""

    def __call__(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        rows: DecodeRows,
        scores: Scores,
    ) -> torch.Tensor:
        """``query`` (rows, heads, dim); ``keys`` and ``values`` (slots, key heads, entries, dim).
        Returns (rows, heads, value dim).
        """
        ...
