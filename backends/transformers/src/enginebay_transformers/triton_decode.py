"""Decode attention over the slots in two Triton kernels, for which torch needs no package beside.

Keys are split among programs, as many as keep the device busy, and each reads only what its row
holds (flash decoding: split-K with a second pass that joins the parts). The query heads that share
a key head are computed together, so that every key is read once.
"""

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl

from enginebay_transformers.decode_rows import DecodeRows, Scores

KEYS_AT_ONCE: Final = 64
FEWEST_HEADS: Final = 16
"""Rows of the smallest matrix product that Triton has; fewer heads are padded."""
PROGRAMS: Final = 512
"""Enough for every multiprocessor of a large GPU to have several."""
MOST_PARTS: Final = 64


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    rows: DecodeRows,
    scores: Scores,
) -> torch.Tensor:
    """As ``decode_rows.DecodeKernel`` says."""
    count, heads, dim = query.shape
    key_heads, value_dim = keys.shape[1], values.shape[-1]
    parts = choose_parts(count * key_heads, keys.shape[2])
    query = query.contiguous()
    sums = query.new_empty((count, heads, parts, value_dim), dtype=torch.float32)
    weights = query.new_empty((count, heads, parts, 2), dtype=torch.float32)
    out = query.new_empty((count, heads, value_dim))
    attend_parts[(count, key_heads, parts)](
        query, keys, values, rows.slots, rows.lengths, sums, weights,
        *keys.stride()[:3], *values.stride()[:3],
        scores.scale(dim),
        WINDOW=scores.window, SOFTCAP=scores.softcap or 0.0,
        GROUP=heads // key_heads,
        HEADS=max(FEWEST_HEADS, triton.next_power_of_2(heads // key_heads)),
        DIM=dim, DIM_BLOCK=max(16, triton.next_power_of_2(dim)),
        VALUE_DIM=value_dim, VALUE_BLOCK=max(16, triton.next_power_of_2(value_dim)),
        KEYS=KEYS_AT_ONCE, EXACT=query.dtype == torch.float32, num_stages=2,
    )  # fmt: skip
    join_parts[(count, heads)](
        sums, weights, out, out if scores.sinks is None else scores.sinks,
        SINKS=scores.sinks is not None,
        PARTS=parts, VALUE_DIM=value_dim, VALUE_BLOCK=triton.next_power_of_2(value_dim),
    )  # fmt: skip
    return out


def choose_parts(programs: int, longest: int) -> int:
    """A power of two; fixed by shapes alone, so that a captured graph stays right."""
    wanted = max(1, min(MOST_PARTS, PROGRAMS // programs, longest // KEYS_AT_ONCE))
    return 1 << (wanted.bit_length() - 1)


@triton.jit  # type: ignore[untyped-decorator]  # triton is on CUDA machines alone
def attend_parts(  # noqa: PLR0917 - Triton's arguments
    query: tl.tensor, keys: tl.tensor, values: tl.tensor, slots: tl.tensor, lengths: tl.tensor,
    sums: tl.tensor, weights: tl.tensor,
    key_slot: tl.tensor, key_head: tl.tensor, key_entry: tl.tensor,
    value_slot: tl.tensor, value_head: tl.tensor, value_entry: tl.tensor,
    scale: tl.tensor, WINDOW: tl.constexpr, SOFTCAP: tl.constexpr,
    GROUP: tl.constexpr, HEADS: tl.constexpr,
    DIM: tl.constexpr, DIM_BLOCK: tl.constexpr,
    VALUE_DIM: tl.constexpr, VALUE_BLOCK: tl.constexpr,
    KEYS: tl.constexpr, EXACT: tl.constexpr,
) -> None:  # fmt: skip
    """One row, one key head, one part of its keys: the weighted sum of values, and the highest
    score and sum of weights by which parts are joined.
    """
    row, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    parts = tl.num_programs(2)
    slot = tl.load(slots + row).to(tl.int64)
    length = tl.load(lengths + row).to(tl.int32)
    begin = tl.maximum(length - WINDOW, 0) if WINDOW > 0 else 0
    share = tl.cdiv(tl.cdiv(length - begin, parts), KEYS) * KEYS
    first = begin + part * share
    last = tl.minimum(first + share, length)
    lanes, dims, value_dims = (
        tl.arange(0, HEADS),
        tl.arange(0, DIM_BLOCK),
        tl.arange(0, VALUE_BLOCK),
    )
    heads = (row * tl.num_programs(1) + head) * GROUP + lanes
    asked = (lanes < GROUP)[:, None]
    q = tl.load(
        query + heads[:, None] * DIM + dims[None, :], mask=asked & (dims < DIM)[None, :], other=0.0
    )
    best = tl.full([HEADS], -1.0e30, tl.float32)
    weight = tl.zeros([HEADS], tl.float32)
    total = tl.zeros([HEADS, VALUE_BLOCK], tl.float32)
    keys += slot * key_slot + head * key_head
    values += slot * value_slot + head * value_head
    for start in range(first, last, KEYS):
        entries = start + tl.arange(0, KEYS)
        there = entries < last
        k = tl.load(
            keys + entries[None, :].to(tl.int64) * key_entry + dims[:, None],
            mask=there[None, :] & (dims < DIM)[:, None], other=0.0,
        )  # fmt: skip
        score = tl.dot(q, k, input_precision="ieee" if EXACT else "tf32") * scale
        if SOFTCAP > 0:
            score = SOFTCAP * (2 * tl.sigmoid(2 * score / SOFTCAP) - 1)  # tanh
        score = tl.where(there[None, :], score, -1.0e30)
        higher = tl.maximum(best, tl.max(score, 1))
        fade = tl.exp(best - higher)
        p = tl.where(there[None, :], tl.exp(score - higher[:, None]), 0.0)
        v = tl.load(
            values + entries[:, None].to(tl.int64) * value_entry + value_dims[None, :],
            mask=there[:, None] & (value_dims < VALUE_DIM)[None, :], other=0.0,
        )  # fmt: skip
        summed = tl.dot(p.to(v.dtype), v, input_precision="ieee" if EXACT else "tf32")
        total = total * fade[:, None] + summed
        weight = weight * fade + tl.sum(p, 1)
        best = higher
    places = heads * parts + part
    tl.store(
        sums + places[:, None] * VALUE_DIM + value_dims[None, :],
        total, mask=asked & (value_dims < VALUE_DIM)[None, :],
    )  # fmt: skip
    tl.store(weights + places * 2, best, mask=lanes < GROUP)
    tl.store(weights + places * 2 + 1, weight, mask=lanes < GROUP)


@triton.jit  # type: ignore[untyped-decorator]  # triton is on CUDA machines alone
def join_parts(  # noqa: PLR0917 - Triton's arguments
    sums: tl.tensor, weights: tl.tensor, out: tl.tensor, sinks: tl.tensor,
    SINKS: tl.constexpr, PARTS: tl.constexpr, VALUE_DIM: tl.constexpr, VALUE_BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """One row, one query head. A row of length 0 gets zeros."""
    head = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    parts, dims = tl.arange(0, PARTS), tl.arange(0, VALUE_BLOCK)
    best = tl.load(weights + (head * PARTS + parts) * 2)
    weight = tl.load(weights + (head * PARTS + parts) * 2 + 1)
    highest = tl.max(best, 0)
    if SINKS:
        sink = tl.load(sinks + tl.program_id(1)).to(tl.float32)
        highest = tl.maximum(highest, sink)
    fade = tl.exp(best - highest)
    whole = tl.sum(weight * fade, 0)
    if SINKS:
        whole += tl.exp(sink - highest)
    each = tl.load(
        sums + (head * PARTS + parts)[:, None] * VALUE_DIM + dims[None, :],
        mask=(dims < VALUE_DIM)[None, :], other=0.0,
    )  # fmt: skip
    total = tl.sum(each * fade[:, None], 0) / tl.where(whole > 0, whole, 1.0)
    tl.store(out + head * VALUE_DIM + dims, total.to(out.dtype.element_ty), mask=dims < VALUE_DIM)
