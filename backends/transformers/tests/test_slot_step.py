"""How a step is laid out: packed order, spans, and what is kept."""

from __future__ import annotations

import torch

from enginebay_core.api import StepRow
from enginebay_transformers.slot_step import lay_out

CPU = torch.device("cpu")


def decode(slot: int, start: int) -> StepRow:
    return StepRow(slot, start, (slot,))


def test_decode_rows_of_like_length_share_one_call() -> None:
    step = lay_out([decode(slot, 3000 + slot) for slot in (2, 0, 1, 3)], CPU)
    (span,) = step.spans
    assert (span.low, span.high, span.longest, span.dense) == (0, 4, 3004, True)
    assert step.ids.tolist() == [[0, 1, 2, 3]]
    assert step.keep == [2, 0, 1, 3]


def test_one_long_row_does_not_lengthen_many_short_ones() -> None:
    rows = [decode(slot, 10) for slot in range(31)]
    step = lay_out([*rows, decode(31, 100_000)], CPU)
    assert [(span.low, span.high, span.longest) for span in step.spans] == [
        (0, 31, 11),
        (31, 32, 100_001),
    ]


def test_reading_in_vain_is_bounded_whatever_the_slots() -> None:
    rows = [decode(slot, (slot * 7919) % 5000) for slot in range(0, 64, 3)]
    spans = lay_out(rows, CPU).spans
    read = sum((span.high - span.low) * span.longest for span in spans)
    needed = sum(row.start + 1 for row in rows)
    assert read <= 2 * needed + 2048 * len(spans)
    assert sorted(span.low + lane for span in spans for lane in span.lanes) == [
        row.slot for row in rows
    ]


def test_each_chunk_is_a_span_after_the_decode_rows() -> None:
    rows = [StepRow(5, 4, (1, 2, 3), "all"), decode(1, 7), StepRow(2, 0, (8, 9), "none")]
    step = lay_out(rows, CPU)
    assert step.ids.tolist() == [[1, 8, 9, 1, 2, 3]]
    assert [(span.first, span.last, span.low, span.longest) for span in step.spans] == [
        (0, 1, 1, 8),
        (1, 3, 2, 2),
        (3, 6, 5, 7),
    ]
    assert step.keep == [3, 4, 5, 0]
    slots, positions, _ = step.places(CPU)
    assert slots.tolist() == [1, 2, 2, 5, 5, 5]
    assert positions.tolist() == [7, 0, 1, 4, 5, 6]
