"""Many sequences at once over KV slots that GroupQueryAttention reads and writes in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import CopyPrefix, EngineSpec, NumpySampling, StepBatch, StepRow
from enginebay_onnx.kv_slots import KvSlots

Floats: TypeAlias = npt.NDArray[np.float32]

SCORES: Final = 2**24
"""Attention scores (heads x ids x slot length) that one pass may need: 64 MB of them."""
SHORTEST_PASS: Final = 32
REMEMBERED: Final = 256
"""Bindings: as many as there are windows of neighbouring slots in 22."""
WORTH_SPANNING: Final = 8
"""Slots between two decode rows that are sooner carried along, looking on, than stepped around:
reading all weights once more costs about as much as so many rows.
"""


class SlotEngine(NumpySampling):
    """A StepEngine for graphs of ``slot_graph``. ``session`` and ``slots`` are its own."""

    def __init__(self, session: Any, slots: KvSlots, spec: EngineSpec, heads: int) -> None:
        self._session, self._slots = session, slots
        self._pass = max(SHORTEST_PASS, SCORES // (heads * slots.length))
        self._bindings: dict[tuple[int, int], Any] = {}
        self.spec = spec

    def forward(self, batch: StepBatch) -> Floats:
        for operation in batch.operations:
            if isinstance(operation, CopyPrefix):
                self._slots.copy(operation.source, operation.target, operation.length)
            # Rewind and Free need nothing: what lies past the end of a row is never read.
        spans = decode_spans(batch.rows)
        if spans and len(spans[0]) == len(batch.rows):
            return self._decode(spans[0])
        parts = {row.slot: self._prefill(row) for row in batch.rows if len(row.ids) > 1}
        for span in spans:
            ends = np.cumsum([row.logits != "none" for row in span])
            split = np.split(self._decode(span), ends[:-1])
            parts |= zip((row.slot for row in span), split, strict=True)
        return np.concatenate([parts[row.slot] for row in batch.rows])

    def _decode(self, span: Sequence[StepRow]) -> Floats:
        """One id each, for rows whose slots lie close together; logits in the rows' order. Slots
        between them look on: with ``query_seqlens`` 0 nothing of theirs is written.
        """
        slots = [row.slot for row in span]
        low, high = min(slots), max(slots) + 1
        lanes = [slot - low for slot in slots]
        ids = np.zeros((high - low, 1), np.int64)
        last = np.zeros(high - low, np.int32)
        valid = np.zeros(high - low, np.int32)
        ids[lanes, 0] = [row.ids[0] for row in span]
        last[lanes] = [row.start for row in span]
        valid[lanes] = 1
        wanted = [row.slot - low for row in span if row.logits != "none"]
        return self._run(low, ids, last, valid, wanted)

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
        binding = self._bind(low, low + len(ids))
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

    def _bind(self, low: int, high: int) -> Any:
        """The slots' addresses, which stay; everything else in a binding is new with each step.
        Making one takes a tenth of a small model's step.
        """
        if (low, high) not in self._bindings:
            if len(self._bindings) == REMEMBERED:
                self._bindings.clear()
            self._bindings[low, high] = self._slots.bind(self._session, low, high)
        return self._bindings[low, high]

    def close(self) -> None:
        del self._session, self._slots, self._bindings


def decode_spans(rows: Sequence[StepRow]) -> list[list[StepRow]]:
    """The rows of one id, apart where a gap between slots is not worth spanning; within a span
    they keep their order.
    """
    spans: list[list[StepRow]] = []
    last = -np.inf
    for row in sorted((row for row in rows if len(row.ids) == 1), key=lambda row: row.slot):
        if row.slot - last > WORTH_SPANNING:
            spans.append([])
        spans[-1].append(row)
        last = row.slot
    order = {row.slot: index for index, row in enumerate(rows)}
    return [sorted(span, key=lambda row: order[row.slot]) for span in spans]
