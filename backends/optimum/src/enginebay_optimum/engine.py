"""Many sequences at once over a model whose keys and values go in, and come back longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import CopyPrefix, EngineSpec, NumpySampling, StepBatch, StepRow
from enginebay_optimum.kv_slots import KvSlots

Floats: TypeAlias = npt.NDArray[np.float32]

PASS: Final = 128
"""Ids of a prompt that run at once: the graph computes the logits of each."""


class PastModel(Protocol):
    """``GraphModel`` and ``TorchModel``."""

    def run(
        self, feed: Mapping[str, npt.NDArray[Any]], past: list[npt.NDArray[Any]]
    ) -> tuple[Floats, list[npt.NDArray[Any]]]: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What the last step of decoding left: while the same rows go on, it is what they read next."""

    slots: tuple[int, ...]
    starts: tuple[int, ...]
    past: list[npt.NDArray[Any]]


class OptimumEngine(NumpySampling):
    """A StepEngine. ``model`` and ``slots`` are its own. The slots always hold the truth; what is
    carried from step to step saves gathering it.
    """

    def __init__(self, model: PastModel, slots: KvSlots, spec: EngineSpec) -> None:
        self._model, self._slots = model, slots
        self._carried: Carried | None = None
        self.spec = spec

    def forward(self, batch: StepBatch) -> Floats:
        for operation in batch.operations:
            self._carried = None
            if isinstance(operation, CopyPrefix):
                self._slots.copy(operation.source, operation.target, operation.length)
            # Rewind and Free need nothing: what lies past the end of a row is never read.
        decoding = [row for row in batch.rows if len(row.ids) == 1]
        found = {row.slot: self._prefill(row) for row in batch.rows if len(row.ids) > 1}
        if decoding:
            found |= zip((row.slot for row in decoding), self._run(decoding), strict=True)
        return np.concatenate([wanted(found[row.slot], row) for row in batch.rows])

    def _prefill(self, row: StepRow) -> Floats:
        """Logits after each id, (ids, vocabulary); those that nobody asked for are not kept."""
        parts = []
        for begin in range(0, len(row.ids), PASS):
            piece = StepRow(row.slot, row.start + begin, row.ids[begin : begin + PASS])
            logits = self._run([piece])[0]
            parts.append(logits if row.logits == "all" else logits[-1:])
        self._carried = None
        return np.concatenate(parts)

    def _run(self, rows: Sequence[StepRow]) -> Floats:
        """Rows of equally many ids; logits (rows, ids, vocabulary). Earlier entries stand right
        before the new ones, padded on the left, so that distances within a row are true.
        """
        slots, starts = tuple(row.slot for row in rows), tuple(row.start for row in rows)
        count, longest = len(rows[0].ids), max(starts)
        past = self._past(slots, starts)
        longest = past[0].shape[2]
        mask = np.zeros((len(rows), longest + count), np.int64)
        for index, start in enumerate(starts):
            mask[index, longest - start :] = 1
        feed = {
            "input_ids": np.array([row.ids for row in rows], np.int64),
            "attention_mask": mask,
            "position_ids": np.array(starts)[:, None] + np.arange(count),
        }
        logits, present = self._model.run(feed, past)
        self._slots.append(slots, starts, present, count)
        self._carried = Carried(slots, tuple(start + 1 for start in starts), present)
        return logits

    def _past(self, slots: tuple[int, ...], starts: tuple[int, ...]) -> list[npt.NDArray[Any]]:
        carried = self._carried
        if carried is not None and (carried.slots, carried.starts) == (slots, starts):
            return carried.past
        return self._slots.gather(slots, starts)

    def close(self) -> None:
        del self._model, self._slots, self._carried


def wanted(logits: Floats, row: StepRow) -> Floats:
    """Those that the row asked for, of those after its last ids."""
    return {"none": logits[:0], "last": logits[-1:], "all": logits}[row.logits]
