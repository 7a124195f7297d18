"""Step engines with one fault each: the toy, whose next id depends on every id in its KV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    CopyPrefix,
    Free,
    KvOperation,
    Rewind,
    StepBatch,
    StepRow,
)
from enginebay_core.toy import ToyEngine

Floats = npt.NDArray[np.float32]


class OffByOneWhenDecoding(ToyEngine):
    def _run(self, row: StepRow) -> list[np.uint64]:
        if len(row.ids) > 1 or row.start == 0:
            return super()._run(row)
        self._powers = np.roll(self._powers, 1)
        try:
            return super()._run(row)
        finally:
            self._powers = np.roll(self._powers, -1)


class ChunksStartAtZero(ToyEngine):
    def _run(self, row: StepRow) -> list[np.uint64]:
        return super()._run(replace(row, start=0) if len(row.ids) > 1 else row)


class LastOfChunkNotWritten(ToyEngine):
    def _run(self, row: StepRow) -> list[np.uint64]:
        hashes = super()._run(row)
        if row.logits == "none":
            self.kv[row.slot, row.start + len(row.ids) - 1] = 0
        return hashes


class SeesTheNewestIdAlone(ToyEngine):
    def _run(self, row: StepRow) -> list[np.uint64]:
        super()._run(row)
        ids = row.ids if row.logits == "all" else row.ids[-1:]
        return [np.uint64(token + 1) for token in ids] if row.logits != "none" else []


class ReadsTheRowBefore(ToyEngine):
    def forward(self, batch: StepBatch) -> Floats:
        right = super().forward(batch)
        decoding = len(batch.rows) > 2 and all(len(row.ids) == 1 for row in batch.rows)
        return np.roll(right, 1, axis=0) if decoding else right


class FirstIdsLogits(ToyEngine):
    def _run(self, row: StepRow) -> list[np.uint64]:
        hashes = super()._run(replace(row, logits="all"))
        return {"none": [], "last": hashes[:1], "all": hashes}[row.logits]


class SortsRowsBySlot(ToyEngine):
    def forward(self, batch: StepBatch) -> Floats:
        return super().forward(replace(batch, rows=tuple(sorted(batch.rows, key=lambda r: r.slot))))


class MixesUpMixedSteps(ToyEngine):
    def forward(self, batch: StepBatch) -> Floats:
        lengths = {len(row.ids) > 1 for row in batch.rows}
        logits = super().forward(batch)
        return logits[::-1] if len(lengths) == 2 and len(logits) > 1 else logits


class ReadsPastTheEnd(ToyEngine):
    """And nothing is wiped when a slot is freed."""

    def _apply(self, operation: KvOperation) -> None:
        if isinstance(operation, CopyPrefix):
            super()._apply(operation)

    def _run(self, row: StepRow) -> list[np.uint64]:
        if row.start == 0 or row.logits != "last":
            return super()._run(row)
        self.kv[row.slot, row.start] = row.ids[0]
        used = self.kv[row.slot] >= 0
        return [(self.kv[row.slot].astype(np.uint64) * self._powers)[used].sum(dtype=np.uint64)]


class PaddingWritesToParkedSlots(ToyEngine):
    def forward(self, batch: StepBatch) -> Floats:
        active = {row.slot for row in batch.rows}
        parked = [slot for slot in range(self.spec.max_sequences) if slot not in active]
        self.kv[parked, 0] = 0
        return super().forward(batch)


class IgnoresCopies(ToyEngine):
    def _apply(self, operation: KvOperation) -> None:
        if not isinstance(operation, CopyPrefix):
            super()._apply(operation)


class CopiesBackwards(ToyEngine):
    def _apply(self, operation: KvOperation) -> None:
        if isinstance(operation, CopyPrefix):
            operation = CopyPrefix(operation.target, operation.source, operation.length)
        super()._apply(operation)


class RewindsOneTooMany(ToyEngine):
    def _apply(self, operation: KvOperation) -> None:
        if isinstance(operation, Rewind):
            operation = replace(operation, length=operation.length - 1)
        super()._apply(operation)


class FreesTheNeighbour(ToyEngine):
    def _apply(self, operation: KvOperation) -> None:
        super()._apply(operation)
        if isinstance(operation, Free) and operation.slot > 0:
            super()._apply(Free(operation.slot - 1))


class RewindsEverybody(ToyEngine):
    def _apply(self, operation: KvOperation) -> None:
        super()._apply(operation)
        if isinstance(operation, Rewind):
            self.kv[:, operation.length :] = -1


class OneEntryTooShort(ToyEngine):
    """Its arrays hold one id less than its spec says."""

    def _run(self, row: StepRow) -> list[np.uint64]:
        if row.start + len(row.ids) >= self.spec.max_length - 1:
            raise IndexError("past the end of the cache")
        return super()._run(row)


class VocabularyTooSmall(ToyEngine):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, vocab_size=256)

    def forward(self, batch: StepBatch) -> Floats:
        return super().forward(batch)[:, :256]


ENGINES: Sequence[tuple[type[ToyEngine], tuple[str, ...]]] = (
    (OffByOneWhenDecoding, ("decoding_equals_prefilling",)),
    (ChunksStartAtZero, ("chunks_equal_the_whole_prompt",)),
    (LastOfChunkNotWritten, ("chunks_equal_the_whole_prompt",)),
    (SeesTheNewestIdAlone, ("earlier_ids_matter",)),
    (
        ReadsTheRowBefore,
        (
            "a_batch_equals_each_alone",
            "greedy_among_eight_neighbours",
        ),
    ),
    (FirstIdsLogits, ("all_logits_equal_each_last",)),
    (SortsRowsBySlot, ("rows_keep_their_order",)),
    (
        MixesUpMixedSteps,
        (
            "mixed_steps_equal_apart",
            "joining_late",
            "a_long_prompt_beside_short_ones",
        ),
    ),
    (
        ReadsPastTheEnd,
        (
            "a_used_slot_is_as_new",
            "room_that_was_left_is_clean",
        ),
    ),
    (PaddingWritesToParkedSlots, ("parked_slots_do_not_change",)),
    (IgnoresCopies, ("a_copied_prefix_equals_a_computed_one",)),
    (CopiesBackwards, ("a_copied_prefix_equals_a_computed_one",)),
    (RewindsOneTooMany, ("a_rewound_slot_equals_a_fresh_one",)),
    (FreesTheNeighbour, ("operations_leave_neighbours_alone",)),
    (RewindsEverybody, ("operations_leave_neighbours_alone",)),
    (OneEntryTooShort, ("the_context_can_be_filled",)),
    (VocabularyTooSmall, ("spec_is_sane",)),
)
"""Each fault with the checks that are meant for it."""
