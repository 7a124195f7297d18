"""Decides what runs in the next step. Knows sequences and slots, no threads, no arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import TypeAlias

from enginebay_core.api import (
    CopyPrefix,
    EngineBayError,
    EngineSpec,
    EngineStats,
    Free,
    GenerationStep,
    Rewind,
    Sampled,
    SampleRow,
    StepBatch,
)
from enginebay_core.engine.pace import Pace
from enginebay_core.engine.sequence import Sequence
from enginebay_core.engine.slots import WORTH_SHARING, SlotTable

Steps: TypeAlias = list[tuple[Sequence, GenerationStep | EngineBayError]]
"""What each reader is to be told of one step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: ``sequences`` in row order; ``sampled`` are those whose row asks for logits, in
    the order of ``sample_rows``. ``decoding`` rows come first.
    """

    batch: StepBatch
    sequences: tuple[Sequence, ...]
    sampled: tuple[Sequence, ...]
    sample_rows: tuple[SampleRow, ...]
    decoding: int

    @property
    def prompt_ids(self) -> int:
        return sum(len(row.ids) for row in self.batch.rows[self.decoding :])

    def fill_masks(self) -> None:
        """Between ``forward`` and ``sample``, so that a device works meanwhile."""
        for sequence in self.sampled:
            if sequence.matcher is not None:
                sequence.matcher.fill()


class Scheduler:
    """First come, first served, as many at once as slots and KV memory allow.

    Prompts are prefilled in chunks beside, or in turn with, the decoding of others, as
    ``spec.batching`` allows. ``running`` is in the order of admission: when KV memory falls short
    the last is sent back to wait, and the first always gets through.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._slots = SlotTable(spec)
        self.pace = Pace(apart=spec.batching != "mixed")
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._decode_next = False
        self._preemptions = 0
        self._oldest_next = False

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def free(self) -> int:
        """Slots that a sequence could have at once."""
        return self._spec.max_sequences - len(self._running)

    @property
    def stats(self) -> EngineStats:
        """Of an instant; from any thread."""
        slots, room = self._slots, max(1, self._slots.room)
        return EngineStats(
            running=self.running,
            waiting=self.waiting,
            kv_used=slots.active_ids / room,
            kv_kept=slots.parked_ids / room,
            prefix_asked=slots.asked,
            prefix_found=slots.found,
            preemptions=self._preemptions,
        )

    def add(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def drop(self, sequence: Sequence, keep: bool = True) -> None:
        """Forget the sequence, wherever it is. ``keep``: its KV is sound and may serve others."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        elif sequence in self._running:
            self._retire(sequence, keep)

    def drain(self) -> list[Sequence]:
        """Drop everything; returns what was dropped."""
        dropped = [*self._running, *self._waiting]
        for sequence in dropped:
            self.drop(sequence)
        return dropped

    def fail(self, plan: Plan) -> list[Sequence]:
        """The step was not, or half, run: drop whose KV it was to write, by a row or by an
        operation; returns them.
        """
        touched = {row.slot for row in plan.batch.rows}
        for operation in plan.batch.operations:
            match operation:
                case CopyPrefix(_, target, _):
                    touched.add(target)
                case Rewind(slot, _):
                    touched.add(slot)
                case Free(slot):
                    self._slots.free_again(slot)
        failed = [s for s in self._running if s.slot and s.slot.number in touched]
        for sequence in failed:
            self.drop(sequence, keep=False)
        return failed

    def expire(self, before: float) -> list[Sequence]:
        """Drop those that wait since before that time and have never had a slot; returns them."""
        late = [s for s in self._waiting if s.since < before and not s.begun]
        for sequence in late:
            self.drop(sequence)
        return late

    def plan(self) -> Plan | None:
        """The next step, or None when nothing can run."""
        self._preempt()
        self._admit()
        chosen, decoding = self._choose()
        return self._plan_of(chosen, decoding) if chosen else None

    def plan_alone(self, sequence: Sequence) -> Plan:
        """A step of nothing but this one, a prompt of one id, before all who wait. There must be
        a slot for it, as there is after a step that failed.
        """
        self._begin(sequence, self._needed + 1)
        return self._plan_of([(sequence, 1)], 0)

    def _plan_of(self, chosen: Items[tuple[Sequence, int]], decoding: int) -> Plan:
        rows = tuple(sequence.row(count) for sequence, count in chosen)
        sequences = tuple(sequence for sequence, _ in chosen)
        sampled = tuple(s for s, row in zip(sequences, rows, strict=True) if row.logits == "last")
        sample_rows = tuple(s.sample_row(index) for index, s in enumerate(sampled))
        batch = StepBatch(self._slots.drain_operations(), rows)
        return Plan(batch, sequences, sampled, sample_rows, decoding)

    def commit(self, plan: Plan, sampled: Items[Sampled], seconds: float) -> Steps:
        """Take the step's results."""
        self.pace.observe(plan.decoding, plan.prompt_ids, seconds)
        for sequence, row in zip(plan.sequences, plan.batch.rows, strict=True):
            assert sequence.slot is not None
            sequence.slot.length += len(row.ids)
        steps = [(s, s.take(result)) for s, result in zip(plan.sampled, sampled, strict=True)]
        for sequence, _ in steps:
            if sequence.finished:
                self._retire(sequence, keep=True)
        return steps

    def _admit(self) -> None:
        """In order of arrival, but those whose beginning another is computing just now wait for
        it and let the next one pass.
        """
        if not self._waiting:
            return
        needed = self._needed
        for sequence in list(self._waiting):
            if not self._slots.available or needed + len(sequence.ids) > self._slots.room:
                return
            if self._computed_soon(sequence):
                continue
            self._waiting.remove(sequence)
            needed += len(sequence.ids)
            self._begin(sequence, needed)

    def _begin(self, sequence: Sequence, needed: int) -> None:
        sequence.begun = True
        sequence.slot = self._slots.take(sequence.ids, sequence.request.cache_salt, needed)
        if not sequence.output:
            sequence.cached = sequence.slot.length
        self._running.append(sequence)

    def _computed_soon(self, sequence: Sequence) -> bool:
        """Whether a running prefill will hold much more of this prompt than it does now."""
        if self._spec.kv_grain == 0:
            return False
        return any(
            other.request.cache_salt == sequence.request.cache_salt
            and _begin_alike(other, sequence, other.computed + WORTH_SHARING)
            for other in self._running
            if not other.decoding
        )

    @property
    def _needed(self) -> int:
        """Ids that the running sequences hold or are about to."""
        return sum(len(sequence.ids) for sequence in self._running)

    def _preempt(self) -> None:
        """Give up parked KV, then send the last admitted back, until the next step fits."""
        while (needed := self._needed) > self._slots.room:
            last = self._running[-1]
            self._retire(last, keep=False)
            self._waiting.appendleft(last)
            self._preemptions += 1
        self._slots.give_way(needed)

    def _retire(self, sequence: Sequence, keep: bool) -> None:
        assert sequence.slot is not None
        self._running.remove(sequence)
        if keep:
            self._slots.park(sequence.slot)
        else:
            self._slots.empty(sequence.slot)
        sequence.slot = None

    def _choose(self) -> tuple[list[tuple[Sequence, int]], int]:
        """Sequences for the next step, each with how many of its ids to run, those that decode
        first; and how many these are.
        """
        decoding: list[tuple[Sequence, int]] = []
        filling: list[Sequence] = []
        for sequence in self._running:
            if sequence.decoding:
                decoding.append((sequence, 1))
            else:
                filling.append(sequence)
        if self._spec.batching == "mixed":
            return [*decoding, *self._prefill(filling, bool(decoding))], len(decoding)
        self._decode_next = bool(decoding) and (self._decode_next or not filling)
        chosen = decoding if self._decode_next else self._prefill(filling, bool(decoding))
        count = len(decoding) if self._decode_next else 0
        self._decode_next = not self._decode_next  # take turns, so that neither starves
        return chosen, count

    def _prefill(self, filling: list[Sequence], decoding: bool) -> list[tuple[Sequence, int]]:
        if self._spec.batching == "single":
            return [(s, s.remaining) for s in self._next_whole(filling)]
        return list(_chunks(filling, self.pace.prompt_ids(decoding)))

    def _next_whole(self, filling: list[Sequence]) -> list[Sequence]:
        """In turns the oldest, so that it gets through, and the one that is soonest done, so that
        a short prompt need not wait for all long ones before it.
        """
        self._oldest_next = not self._oldest_next
        if not filling:
            return []
        return [filling[0] if self._oldest_next else min(filling, key=lambda s: s.remaining)]


def _begin_alike(other: Sequence, sequence: Sequence, count: int) -> bool:
    """Whether ``sequence`` could take its first ``count`` ids over from ``other``."""
    usable = min(len(other.ids), len(sequence.ids) - 1)
    return count <= usable and other.ids[:count] == sequence.ids[:count]


def _chunks(filling: list[Sequence], budget: int) -> Iterator[tuple[Sequence, int]]:
    """Share ``budget`` ids out: half to the oldest, so that it gets through; then to the prompts
    that are nearly done, so that a short one need not wait for a long one.
    """
    if not (filling and budget):
        return
    oldest, *others = filling
    reserved = min(oldest.remaining, budget if not others else (budget + 1) // 2)
    left = budget - reserved
    later: list[tuple[Sequence, int]] = []
    for sequence in sorted(others, key=lambda s: s.remaining):
        count = min(sequence.remaining, left)
        if count > 1:  # a row of one id is decode
            later.append((sequence, count))
            left -= count
    yield oldest, min(oldest.remaining, reserved + left)
    yield from later
