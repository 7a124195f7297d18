"""The engine under test, on a thread of its own, with a record of what went through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from enginebay_core.api import (
    EngineSpec,
    Free,
    Sampled,
    SamplerMemory,
    SampleRow,
    StepBatch,
    StepEngine,
    StepRow,
)
from enginebay_core.compare.tolerance import Floats
from enginebay_core.testing.arrays import like, to_numpy

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Draw:
    """One choice of ``sample``: the logits it saw, shape (vocabulary,); the row as it was then."""

    logits: Floats
    row: SampleRow
    sampled: Sampled


class Recorder:
    """A StepEngine that hands every call to the real one.

    Schedulers come and go with the checks, the engine stays: ``close`` only notes which slots the
    scheduler leaves behind, and the next step frees them. ``shut`` closes the engine itself. The
    engine sees one thread, as core promises.
    """

    def __init__(self, engine: StepEngine) -> None:
        self.engine = engine
        self.batches: list[StepBatch] = []
        self.draws: list[Draw] | None = None
        self._used: set[int] = set()
        self._left: set[int] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="contract-engine")

    @property
    def spec(self) -> EngineSpec:
        return self.engine.spec

    def forward(self, batch: StepBatch) -> Any:
        self.batches.append(batch)
        self._used.update(row.slot for row in batch.rows)
        freed = tuple(Free(slot) for slot in sorted(self._left))
        self._left.clear()
        whole = replace(batch, operations=(*freed, *batch.operations))
        return self._call(lambda: self.engine.forward(whole))

    def sample(self, logits: Any, rows: Sequence[SampleRow]) -> list[Sampled]:
        sampled = self._call(lambda: self.engine.sample(logits, rows))
        if self.draws is not None:
            seen = self._call(lambda: to_numpy(logits))
            pairs = zip(rows, sampled, strict=True)
            self.draws += [Draw(seen[row.index], frozen(row), got) for row, got in pairs]
        return sampled

    def forge(self, values: Floats) -> Any:
        """``values`` as this engine's own logits; None where its array library is unknown."""
        row = StepRow(0, 0, (0,), "last")
        logits = self.forward(StepBatch((), (row,)))
        return self._call(lambda: like(logits, values))

    def close(self) -> None:
        """A scheduler has ended."""
        self._left |= self._used
        self._used.clear()

    def restart(self) -> None:
        """Forget the record, before the next check."""
        self.close()
        self.batches.clear()
        self.draws = None

    def shut(self) -> None:
        try:
            self._call(self.engine.close)
        finally:
            self._thread.shutdown()

    def _call(self, work: Callable[[], ResultT]) -> ResultT:
        return self._thread.submit(work).result()


def frozen(row: SampleRow) -> SampleRow:
    """The row with copies of its live views, and an empty memory for another sampler."""
    return replace(row, prompt=tuple(row.prompt), output=tuple(row.output), memory=SamplerMemory())
