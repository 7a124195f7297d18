"""The decode kernel's contract in plain torch, row by row: what the real ones are compared with."""

from __future__ import annotations

import torch

from enginebay_transformers.decode_rows import DecodeRows, Scores


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    rows: DecodeRows,
    scores: Scores,
) -> torch.Tensor:
    out = query.new_zeros(*query.shape[:2], values.shape[-1])
    group = query.shape[1] // keys.shape[1]
    for i, (slot, length) in enumerate(zip(*(each.tolist() for each in rows), strict=True)):
        if length == 0:
            continue
        first = max(0, length - scores.window) if scores.window else 0
        own = [each[slot, :, first:length].float() for each in (keys, values)]
        key, value = (each.repeat_interleave(group, dim=0) for each in own)
        logits = torch.einsum("hd,hnd->hn", query[i].float(), key) * scores.scale(query.shape[-1])
        if scores.softcap:
            logits = torch.tanh(logits / scores.softcap) * scores.softcap
        if scores.sinks is not None:
            logits = torch.cat([logits, scores.sinks.float()[:, None]], dim=1)
        weights = logits.softmax(dim=-1)[:, : length - first]
        out[i] = torch.einsum("hn,hnd->hd", weights, value).to(out.dtype)
    return out
