"""Decode attention by the flash-attn package, where it is installed (arXiv:2307.08691)."""

from __future__ import annotations

import torch
from flash_attn import flash_attn_with_kvcache

from enginebay_transformers.decode_rows import DecodeRows, Scores
from enginebay_transformers.slot_attention import NotForSlots


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    rows: DecodeRows,
    scores: Scores,
) -> torch.Tensor:
    """As ``decode_rows.DecodeKernel`` says. Raises NotForSlots for sinks."""
    if scores.sinks is not None:
        raise NotForSlots("flash-attn has no sinks")
    out: torch.Tensor = flash_attn_with_kvcache(
        query[:, None],
        keys.transpose(1, 2),
        values.transpose(1, 2),
        cache_seqlens=rows.lengths.int(),
        cache_batch_idx=rows.slots.int(),
        softmax_scale=scores.scaling,
        causal=True,
        window_size=(scores.window - 1, 0) if scores.window else (-1, -1),
        softcap=scores.softcap or 0.0,
    )
    return out[:, 0]
