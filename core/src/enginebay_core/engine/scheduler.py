"""Decides what runs in the next step. Knows sequences and slots, no threads, no arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass

from enginebay_core.api import (
    EngineSpec,
    GenerationStep,
    Sampled,
    SampleRow,
    StepBatch,
    StepRow,
)
from enginebay_core.engine.sequence import Sequence
from enginebay_core.engine.slots import SlotTable

PREFILL_CHUNK = 256
"""Prompt ids per step while others decode: bounds how long they wait for their next token."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: ``sequences`` in row order; ``sampled`` are those whose row asks for logits, in
    the order of ``sample_rows``.
    """

    batch: StepBatch
    sequences: tuple[Sequence, ...]
    sampled: tuple[Sequence, ...]
    sample_rows: tuple[SampleRow, ...]


class Scheduler:
    """First come, first served, as many at once as there are slots. Prompts are prefilled in
    chunks beside, or in turn with, the decoding of others, as ``spec.batching`` allows.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._slots = SlotTable(spec.max_sequences)
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._decode_next = False

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def drop(self, sequence: Sequence) -> None:
        """Forget the sequence, wherever it is, and free its room."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        elif sequence in self._running:
            self._retire(sequence)

    def drain(self) -> list[Sequence]:
        """Drop everything; returns what was dropped."""
        dropped = [*self._running, *self._waiting]
        for sequence in dropped:
            self.drop(sequence)
        return dropped

    def plan(self) -> Plan | None:
        """The next step, or None when nothing can run."""
        self._admit()
        chosen = list(self._choose())
        if not chosen:
            return None
        rows = tuple(sequence.row(count) for sequence, count in chosen)
        sequences = tuple(sequence for sequence, _ in chosen)
        sampled = tuple(s for s, row in zip(sequences, rows, strict=True) if row.logits == "last")
        sample_rows = tuple(s.sample_row(index) for index, s in enumerate(sampled))
        return Plan(self._batch(rows), sequences, sampled, sample_rows)

    def commit(self, plan: Plan, sampled: Items[Sampled]) -> list[tuple[Sequence, GenerationStep]]:
        """Take the step's results: what each reader is to be told."""
        for sequence, row in zip(plan.sequences, plan.batch.rows, strict=True):
            sequence.computed += len(row.ids)
        steps = [(s, s.take(result)) for s, result in zip(plan.sampled, sampled, strict=True)]
        for sequence, _ in steps:
            if sequence.finished:
                self._retire(sequence)
        return steps

    def _admit(self) -> None:
        while self._waiting and self._slots.free:
            sequence = self._waiting.popleft()
            sequence.slot = self._slots.take()
            self._running.append(sequence)

    def _retire(self, sequence: Sequence) -> None:
        assert sequence.slot is not None
        self._running.remove(sequence)
        self._slots.give_back(sequence.slot)
        sequence.slot = None

    def _batch(self, rows: tuple[StepRow, ...]) -> StepBatch:
        return StepBatch(self._slots.drain_operations(), rows)

    def _choose(self) -> Iterator[tuple[Sequence, int]]:
        """Sequences for the next step, each with how many of its ids to run."""
        decoding = [(s, 1) for s in self._running if s.decoding]
        filling = [s for s in self._running if not s.decoding]
        if self._spec.batching == "mixed":
            return iter([*decoding, *_chunks(filling)])
        self._decode_next = bool(decoding) and (self._decode_next or not filling)
        chosen = decoding if self._decode_next else self._prefill(filling)
        self._decode_next = not self._decode_next  # take turns, so that neither starves
        return iter(chosen)

    def _prefill(self, filling: list[Sequence]) -> list[tuple[Sequence, int]]:
        if self._spec.batching == "single":
            return [(s, s.remaining) for s in filling[:1]]
        return list(_chunks(filling))


def _chunks(filling: list[Sequence]) -> Iterator[tuple[Sequence, int]]:
    """The oldest prompts' next ids, ``PREFILL_CHUNK`` in all."""
    budget = PREFILL_CHUNK
    for sequence in filling:
        count = min(sequence.remaining, budget)
        if count == 0:
            return
        budget -= count
        yield sequence, count
