"""Which ids lie in which KV slot: bookkeeping only, the arrays are the engine's.

A slot is free, active (one sequence writes it) or parked (a finished sequence's KV, kept for
whoever begins alike, until the room is needed).
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, field

from enginebay_core.api import CopyPrefix, EngineSpec, Free, KvOperation, Rewind

WORTH_SHARING = 16
"""Ids: a shorter common beginning is sooner computed again than looked after."""


@dataclass(slots=True, eq=False)
class Slot:
    """Holds the KV of ``ids[:length]``. While active, ``ids`` is the live list of its sequence."""

    number: int
    ids: list[int] = field(default_factory=list)
    length: int = 0
    salt: str = ""
    active: bool = False
    used: int = 0

    @property
    def parked(self) -> bool:
        return self.length > 0 and not self.active


@dataclass(frozen=True, slots=True)
class Match:
    """The first ``length`` ids of a prompt lie in ``slot`` already."""

    slot: Slot
    length: int


class SlotTable:
    """All slots of one engine, and how many ids their memory holds (``room``). ``asked`` counts
    the ids of all that ever got a slot, ``found`` those that lay in it already.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._slots = [Slot(number) for number in range(spec.max_sequences)]
        self._operations: list[KvOperation] = []
        self._clock = 0
        self.asked = self.found = 0
        self.room = spec.max_sequences * spec.max_length
        if spec.kv_bytes_per_token:
            self.room = min(self.room, spec.kv_bytes // spec.kv_bytes_per_token)

    @property
    def available(self) -> bool:
        """Whether a sequence could get a slot, parked ones being given up for it."""
        return any(not slot.active for slot in self._slots)

    @property
    def active_ids(self) -> int:
        return sum(slot.length for slot in self._slots if slot.active)

    @property
    def parked_ids(self) -> int:
        return sum(slot.length for slot in self._slots if slot.parked)

    def take(self, ids: list[int], salt: str, needed: int) -> Slot:
        """An active slot for a sequence of ``ids``, holding as much of their beginning as any
        slot of the same ``salt`` had; one must be ``available``. ``needed`` counts the ids of all
        running sequences, this one's included.
        """
        match = self._best_match(ids, salt)
        self.give_way(needed, but=match.slot if match else None)
        slot = self._enter(match, needed) if match else self._vacate()
        slot.ids, slot.salt, slot.active = ids, salt, True
        self.asked += len(ids)
        self.found += slot.length
        self._touch(slot)
        return slot

    def park(self, slot: Slot) -> None:
        """Its sequence has ended; what it holds may serve another."""
        slot.active = False
        slot.ids = slot.ids[: slot.length]
        self._touch(slot)
        if not self._shares:
            self.empty(slot)

    def empty(self, slot: Slot) -> None:
        """Forget what the slot holds."""
        slot.active = False
        slot.ids, slot.length = [], 0
        self._operations.append(Free(slot.number))

    def free_again(self, number: int) -> None:
        """The engine may not have heard of it. Whoever has the slot by now has yet to write it."""
        self._operations.append(Free(number))

    def give_way(self, needed: int, but: Slot | None = None) -> None:
        """Empty parked slots, the least recently used first, until ``needed`` ids fit beside
        those that stay.
        """
        parked = [slot for slot in self._slots if slot.parked and slot is not but]
        for slot in sorted(parked, key=lambda slot: slot.used):
            if self._fits(needed):
                return
            self.empty(slot)

    def drain_operations(self) -> tuple[KvOperation, ...]:
        """What the engine must be told, in order, before the next rows."""
        drained = tuple(self._operations)
        self._operations.clear()
        return drained

    @property
    def _shares(self) -> bool:
        return self._spec.kv_grain > 0 or self._spec.rewind == "any"

    def _best_match(self, ids: list[int], salt: str) -> Match | None:
        usable = (self._match(slot, ids) for slot in self._slots if slot.salt == salt)
        best = max(usable, key=lambda match: match.length, default=None)
        return best if best and best.length >= WORTH_SHARING else None

    def _match(self, slot: Slot, ids: list[int]) -> Match:
        """How many leading ids the engine's abilities let ``slot`` lend."""
        match = Match(slot, common_prefix(slot.ids, ids, min(slot.length, len(ids) - 1)))
        if self._can_go_on(match):
            return match
        grain = self._spec.kv_grain
        return Match(slot, match.length - match.length % grain if grain else 0)

    def _enter(self, match: Match, needed: int) -> Slot:
        """Go on in the slot itself, or copy what it lends to another."""
        source, length = match.slot, match.length
        if source.parked and not (self._fits(needed) and self._others(source)):
            return self._go_on(match) if self._can_go_on(match) else self._give_up(needed)
        if self._can_go_on(match) and self._loses_little(match):
            return self._go_on(match)
        self._touch(source)
        target = self._vacate(but=source)
        self._operations.append(CopyPrefix(source.number, target.number, length))
        target.length = length
        return target

    def _go_on(self, match: Match) -> Slot:
        if match.length < match.slot.length:
            self._operations.append(Rewind(match.slot.number, match.length))
        match.slot.length = match.length
        return match.slot

    def _give_up(self, needed: int) -> Slot:
        """There is no room for a copy beside its source: begin anew."""
        self.give_way(needed)
        return self._vacate()

    def _can_go_on(self, match: Match) -> bool:
        """Whether a new sequence may write the slot on from the match's end."""
        whole = match.length == match.slot.length
        return match.slot.parked and (whole or self._spec.rewind == "any")

    def _loses_little(self, match: Match) -> bool:
        """Whether what follows the match may be written over, or cannot be saved anyway."""
        grain = self._spec.kv_grain
        lost = match.slot.length - match.length
        return grain == 0 or match.length % grain != 0 or lost <= match.length // 4

    def _fits(self, needed: int) -> bool:
        return self.parked_ids + needed <= self.room

    def _others(self, but: Slot) -> bool:
        return any(not slot.active for slot in self._slots if slot is not but)

    def _vacate(self, but: Slot | None = None) -> Slot:
        """The lowest free slot, so that active rows stay dense; else the parked one that was not
        used for the longest time, emptied.
        """
        idle = [slot for slot in self._slots if not slot.active and slot is not but]
        slot = min(idle, key=lambda slot: (slot.parked, slot.used if slot.parked else slot.number))
        if slot.parked:
            self.empty(slot)
        return slot

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.used = self._clock


def common_prefix(left: Items[int], right: Items[int], limit: int) -> int:
    """How many leading ids two lists share, at most ``limit``; halving, so that the comparing is
    the interpreter's own.
    """
    low = 0
    while low < limit:
        middle = (low + limit + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            limit = middle - 1
    return low
