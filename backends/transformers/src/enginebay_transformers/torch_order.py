"""An exact order of logits: the highest first, ties to the lowest id."""

from __future__ import annotations

from typing import Final

import torch

LOW32: Final = 0xFFFFFFFF


def rank(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Ids of the ``count`` highest of each row of float32 ``logits``, in order.

    Sorting keys are 64-bit integers, unique within a row: the float's bits, made to order as
    integers do, above the id's complement.
    """
    bits = (logits + 0.0).view(torch.int32).long()  # -0.0 and 0.0 are a tie
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    ids = torch.arange(logits.shape[-1], device=logits.device)
    keys = (ordered << 32) | (LOW32 - ids)
    return LOW32 - (keys.topk(count, dim=-1).values & LOW32)
