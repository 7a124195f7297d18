"""Drives a step engine without a scheduler, as its ``spec`` allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from enginebay_core.api import EngineSpec, Free, KvOperation, StepBatch, StepRow
from enginebay_core.compare.tolerance import Floats, noise_bound
from enginebay_core.testing.arrays import to_numpy
from enginebay_core.testing.expect import expect
from enginebay_core.testing.recorder import Recorder


class Direct:
    def __init__(self, engine: Recorder) -> None:
        self.engine = engine

    @property
    def spec(self) -> EngineSpec:
        return self.engine.spec

    def step(self, *rows: StepRow, operations: Sequence[KvOperation] = ()) -> Floats:
        """One ``forward``; its logits in float32, of the shape that the rows asked for."""
        logits = to_numpy(self.engine.forward(StepBatch(tuple(operations), rows)))
        asked = sum({"none": 0, "last": 1, "all": len(row.ids)}[row.logits] for row in rows)
        shape = (asked, self.spec.vocab_size)
        if asked:
            expect(logits.shape == shape, f"logits have shape {logits.shape}, expected {shape}")
        return logits

    def fill(
        self,
        slot: int,
        ids: Sequence[int],
        start: int = 0,
        logits: Literal["none", "last", "all"] = "last",
    ) -> Floats:
        """One row in a step of its own."""
        return self.step(StepRow(slot, start, tuple(ids), logits))

    def decode(self, slot: int, ids: Sequence[int], start: int) -> Floats:
        """One id per step; logits after each."""
        rows = [self.fill(slot, [token], start + index) for index, token in enumerate(ids)]
        return np.concatenate(rows)

    def replay(self, slot: int, prompt: Sequence[int], output: Sequence[int]) -> Floats:
        """Alone: the prompt at once, then ``output`` id by id. Row i is what output[i] was, or
        would have been, chosen from; the last row is what comes after all of it.
        """
        first = self.fill(slot, prompt)
        if not output:
            return first
        return np.concatenate([first, self.decode(slot, output, len(prompt))])

    def free(self, *slots: int) -> tuple[KvOperation, ...]:
        return tuple(Free(slot) for slot in slots)

    def bound(self, logits: Floats) -> float:
        return noise_bound(logits, self.spec.facts)
