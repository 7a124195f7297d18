"""Keys and values of every slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from enginebay_core.api import ModelError


@dataclass(frozen=True, slots=True)
class KvShape:
    """(heads, dim) of each of the graph's tensors by name, without "past." and "present."."""

    sizes: Mapping[str, tuple[int, int]]
    dtype: np.dtype[Any]

    @property
    def bytes_per_token(self) -> int:
        return sum(heads * dim for heads, dim in self.sizes.values()) * self.dtype.itemsize


class KvSlots(Protocol):
    """Where the slots of a ``SlotEngine`` lie."""

    @property
    def length(self) -> int: ...
    def copy(self, source: int, target: int, length: int) -> None: ...
    def bind(self, session: Any, low: int, high: int) -> Any: ...


class HostSlots:
    """In the processor's memory, which is taken when it is first written. ``arrays`` are (slots,
    heads, room, dim) by name; ``room`` is one more than ``length``, so that a full slot may still
    be passed along with others.
    """

    def __init__(self, shape: KvShape, slots: int, length: int) -> None:
        self.length = length
        try:
            self.arrays: dict[str, npt.NDArray[Any]] = {
                name: np.zeros((slots, heads, length + 1, dim), shape.dtype)
                for name, (heads, dim) in shape.sizes.items()
            }
        except (MemoryError, ValueError) as error:
            raise ModelError(
                f"no memory for the KV of {slots} sequences of {length} ids; lower "
                "options.max_sequences or options.max_length"
            ) from error

    def copy(self, source: int, target: int, length: int) -> None:
        """Make the first ``length`` entries of slot ``target`` those of ``source``."""
        for array in self.arrays.values():
            array[target, :, :length] = array[source, :, :length]

    def bind(self, session: Any, low: int, high: int) -> Any:
        """A new binding of the slots from ``low`` up to ``high`` as both past and present, which
        tells GroupQueryAttention to write in place.
        """
        binding = session.io_binding()
        for name, array in self.arrays.items():
            part = array[low:high]
            place = ("cpu", 0, part.dtype.type, part.shape, part.__array_interface__["data"][0])
            binding.bind_input(f"past.{name}", *place)
            binding.bind_output(f"present.{name}", *place)
        return binding
