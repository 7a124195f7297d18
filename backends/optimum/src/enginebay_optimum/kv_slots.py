"""Keys and values of every slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import ModelError

BYTES: Final = 4


class KvSlots:
    """One array (slots, heads, room, dim) for each key and each value of each layer, in the order
    in which the model takes them. Memory is taken as it is written.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], slots: int, length: int) -> None:
        """``sizes`` are (heads, dim)."""
        try:
            self.arrays: list[npt.NDArray[np.float32]] = [
                np.zeros((slots, heads, length, dim), np.float32) for heads, dim in sizes
            ]
        except (MemoryError, ValueError) as error:
            raise ModelError(
                f"no memory for the KV of {slots} sequences of {length} ids; lower "
                "options.max_sequences or options.max_length"
            ) from error

    def copy(self, source: int, target: int, length: int) -> None:
        for array in self.arrays:
            array[target, :, :length] = array[source, :, :length]

    def gather(self, slots: Sequence[int], lengths: Sequence[int]) -> list[npt.NDArray[Any]]:
        """What each slot holds, padded on the left to the longest."""
        longest = max(lengths)
        found = []
        for array in self.arrays:
            _, heads, _, dim = array.shape
            past = np.zeros((len(slots), heads, longest, dim), np.float32)
            for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
                past[row, :, longest - length :] = array[slot, :, :length]
            found.append(past)
        return found

    def append(
        self,
        slots: Sequence[int],
        starts: Sequence[int],
        present: Sequence[npt.NDArray[Any]],
        count: int,
    ) -> None:
        """Keep the last ``count`` entries of each row, from its ``start`` on."""
        for array, longer in zip(self.arrays, present, strict=True):
            for row, (slot, start) in enumerate(zip(slots, starts, strict=True)):
                array[slot, :, start : start + count] = longer[row, :, -count:]


def bytes_per_token(sizes: Sequence[tuple[int, int]]) -> int:
    return BYTES * sum(heads * dim for heads, dim in sizes)
