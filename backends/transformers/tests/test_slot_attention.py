"""Attention over a span of slots, in each of the ways that it is computed."""

from __future__ import annotations

import pytest
import torch

from enginebay_transformers.decode_rows import Scores
from enginebay_transformers.slot_attention import attend_span


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads", [2, 4, 8])
@pytest.mark.parametrize("queries", [1, 5])
@torch.inference_mode()
def test_every_way_is_plain_attention(dtype: torch.dtype, heads: int, queries: int) -> None:
    """One to four query heads per key head; rows that see less than is read; slots that lie apart
    in memory.
    """
    torch.manual_seed(heads + queries)
    whole = torch.randn(2, 3, 2, 40, 16).to(dtype)
    keys, values = whole[:, :, :, :20]
    query = torch.randn(3, heads, queries, 16).to(dtype)
    places = torch.tensor([6, 13, 19])[:, None, None, None] - queries + 1
    seen = torch.arange(20) <= places + torch.arange(queries)[:, None]
    found = attend_span(query, keys, values, seen, Scores(), exact=False)
    exact = attend_span(query, keys, values, seen, Scores(), exact=True)
    group = heads // 2
    scores = query.float() @ keys.float().repeat_interleave(group, 1).transpose(-1, -2) / 4
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    wanted = weights @ values.float().repeat_interleave(group, 1)
    bound = 1e-5 if dtype == torch.float32 else 2e-2
    for each in (found, exact):
        torch.testing.assert_close(each.float(), wanted, atol=bound, rtol=bound)
