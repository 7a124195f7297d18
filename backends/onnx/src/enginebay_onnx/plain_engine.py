"""Many sequences at once over a plain graph: keys and values go in as ``past`` and come back
longer as ``present``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import CopyPrefix, EngineSpec, NumpySampling, StepBatch, StepRow
from enginebay_onnx.kv_slots import HostSlots

Floats: TypeAlias = npt.NDArray[np.float32]

PASS: Final = 256
"""Ids of a prompt that run at once, which bounds the memory of attention."""


class PlainEngine(NumpySampling):
    """A StepEngine. ``session`` and ``slots`` are its own. What a step reads of the slots is
    copied twice, here and in the graph: right for any architecture, dear for long texts.
    """

    def __init__(self, session: Any, slots: HostSlots, spec: EngineSpec) -> None:
        self._session, self._slots = session, slots
        self.spec = spec

    def forward(self, batch: StepBatch) -> Floats:
        for operation in batch.operations:
            if isinstance(operation, CopyPrefix):
                self._slots.copy(operation.source, operation.target, operation.length)
            # Rewind and Free need nothing: what lies past the end of a row is never read.
        decoding = [row for row in batch.rows if len(row.ids) == 1]
        found = {row.slot: self._prefill(row) for row in batch.rows if len(row.ids) > 1}
        if decoding:
            found |= zip((row.slot for row in decoding), self._run(decoding), strict=True)
        wanted = {"none": 0, "last": 1, "all": None}
        parts = [last_of(found[row.slot], wanted[row.logits]) for row in batch.rows]
        return np.concatenate(parts)

    def _prefill(self, row: StepRow) -> Floats:
        """Logits after each id, of shape (ids, vocabulary)."""
        parts = [
            self._run([StepRow(row.slot, row.start + begin, row.ids[begin : begin + PASS])])[0]
            for begin in range(0, len(row.ids), PASS)
        ]
        return np.concatenate(parts)

    def _run(self, rows: Sequence[StepRow]) -> Floats:
        """Rows of equally many ids; logits (rows, ids, vocabulary). Earlier entries stand right
        before the new ones, padded on the left, so that distances within a row are true.
        """
        count, longest = len(rows[0].ids), max(row.start for row in rows)
        mask = np.zeros((len(rows), longest + count), np.int64)
        for index, row in enumerate(rows):
            mask[index, longest - row.start :] = 1
        starts = np.array([[row.start] for row in rows])
        feed = {
            "input_ids": np.array([row.ids for row in rows], np.int64),
            "attention_mask": mask,
            "position_ids": starts + np.arange(count),
            **self._gather(rows, longest),
        }
        names = list(self._slots.arrays)
        outputs = ["logits", *(f"present.{name}" for name in names)]
        logits, *present = self._session.run(outputs, feed)
        for name, array in zip(names, present, strict=True):
            for index, row in enumerate(rows):
                place = self._slots.arrays[name][row.slot, :, row.start : row.start + count]
                place[:] = array[index, :, longest:]
        found: Floats = logits
        return found

    def _gather(self, rows: Sequence[StepRow], longest: int) -> dict[str, npt.NDArray[Any]]:
        feed = {}
        for name, array in self._slots.arrays.items():
            _, heads, _, dim = array.shape
            past = np.zeros((len(rows), heads, longest, dim), array.dtype)
            for index, row in enumerate(rows):
                past[index, :, longest - row.start :] = array[row.slot, :, : row.start]
            feed[f"past.{name}"] = past
        return feed

    def close(self) -> None:
        del self._session, self._slots


def last_of(logits: Floats, count: int | None) -> Floats:
    """The last ``count`` rows, all for None."""
    return logits if count is None else logits[len(logits) - count :]
