"""Many sequences at once over KV slots that GroupQueryAttention reads and writes in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import CopyPrefix, EngineSpec, NumpySampling, StepBatch, StepRow
from enginebay_onnx.kv_slots import KvSlots

Floats: TypeAlias = npt.NDArray[np.float32]

SCORES: Final = 2**24
"""Attention scores (heads x ids x slot length) that one pass may need: 64 MB of them."""
SHORTEST_PASS: Final = 32
WORTH_SPANNING: Final = 8
"""Slots between two decode rows that are sooner carried along, looking on, than stepped around:
reading all weights once more costs about as much as so many rows.
"""


class SlotEngine(NumpySampling):
    """A StepEngine for graphs of ``slot_graph``. ``session`` and ``slots`` are its own."""

    def __init__(self, session: Any, slots: KvSlots, spec: EngineSpec, heads: int) -> None:
        self._session, self._slots = session, slots
        self._pass = max(SHORTEST_PASS, SCORES // (heads * slots.length))
        self.spec = spec

    def forward(self, batch: StepBatch) -> Floats:
        for operation in batch.operations:
            if isinstance(operation, CopyPrefix):
                self._slots.copy(operation.source, operation.target, operation.length)
            # Rewind and Free need nothing: what lies past the end of a row is never read.
        found: dict[int, Floats] = {}
        for span in decode_spans(batch.rows):
            found |= self._decode(span)
        for row in batch.rows:
            if len(row.ids) > 1:
                found[row.slot] = self._prefill(row)
        return np.concatenate(
            [found[row.slot] for row in batch.rows if row.logits != "none"] or [self._nothing()]
        )

    def _decode(self, span: Sequence[StepRow]) -> dict[int, Floats]:
        """One id each, for rows whose slots lie close together; logits by slot. Slots between
        them look on: with ``query_seqlens`` 0 nothing of theirs is written.
        """
        low, high = span[0].slot, span[-1].slot + 1
        lanes = [row.slot - low for row in span]
        ids = np.zeros((high - low, 1), np.int64)
        last = np.zeros(high - low, np.int32)
        valid = np.zeros(high - low, np.int32)
        ids[lanes, 0] = [row.ids[0] for row in span]
        last[lanes] = [row.start for row in span]
        valid[lanes] = 1
        asking = [row for row in span if row.logits != "none"]
        wanted = [row.slot - low for row in asking]
        logits = self._run(low, ids, last, valid, wanted)
        return {row.slot: logits[i : i + 1] for i, row in enumerate(asking)}

    def _prefill(self, row: StepRow) -> Floats:
        """Several ids of one sequence, in passes short enough for the memory of attention."""
        parts = []
        for begin in range(0, len(row.ids), self._pass):
            ids = np.array([row.ids[begin : begin + self._pass]], np.int64)
            end = begin + ids.size
            wanted = {"none": 0, "last": int(end == len(row.ids)), "all": ids.size}[row.logits]
            last = np.array([row.start + end - 1], np.int32)
            valid = np.array([ids.size], np.int32)
            parts.append(self._run(row.slot, ids, last, valid, range(ids.size - wanted, ids.size)))
        return np.concatenate(parts)

    def _run(
        self,
        low: int,
        ids: npt.NDArray[np.int64],
        last: npt.NDArray[np.int32],
        valid: npt.NDArray[np.int32],
        wanted: Sequence[int],
    ) -> Floats:
        """``ids`` of shape (slots from ``low`` on, ids each). ``last`` is the position of each
        slot's last id, ``valid`` how many of its ids count, ``wanted`` the ids whose logits are
        returned, counted through.
        """
        binding = self._slots.bind(self._session, low, low + len(ids))
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("seqlens_k", last)
        binding.bind_cpu_input("query_seqlens", valid)
        binding.bind_cpu_input("total_sequence_length", np.array(last.max() + 1, np.int32))
        binding.bind_cpu_input("wanted", np.array(wanted, np.int64))
        logits = np.empty((len(wanted), self.spec.vocab_size), np.float32)
        binding.bind_output(
            "logits", "cpu", 0, np.float32, logits.shape, logits.__array_interface__["data"][0]
        )
        self._session.run_with_iobinding(binding)
        return logits

    def _nothing(self) -> Floats:
        return np.empty((0, self.spec.vocab_size), np.float32)

    def close(self) -> None:
        del self._session, self._slots


def decode_spans(rows: Sequence[StepRow]) -> Iterator[list[StepRow]]:
    """The rows of one id, by slot, apart where a gap is not worth spanning."""
    span: list[StepRow] = []
    for row in sorted((row for row in rows if len(row.ids) == 1), key=lambda row: row.slot):
        if span and row.slot - span[-1].slot > WORTH_SPANNING:
            yield span
            span = []
        span.append(row)
    if span:
        yield span
