"""Which sequence holds which KV slot: bookkeeping only, the arrays are the engine's."""

from __future__ import annotations

import heapq

from enginebay_core.api import Free, KvOperation


class SlotTable:
    """Contiguous slots, lowest first, so that active rows stay dense."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self._operations: list[KvOperation] = []

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self) -> int:
        """The lowest free slot; there must be one."""
        return heapq.heappop(self._free)

    def give_back(self, slot: int) -> None:
        heapq.heappush(self._free, slot)
        self._operations.append(Free(slot))

    def drain_operations(self) -> tuple[KvOperation, ...]:
        """What the engine must be told, in order, before the next rows."""
        drained = tuple(self._operations)
        self._operations.clear()
        return drained
