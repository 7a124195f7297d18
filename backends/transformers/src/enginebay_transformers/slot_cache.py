"""Keys and values of every slot, in tensors of our own behind Transformers' Cache interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from enginebay_transformers.slot_step import Written, running_step


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one token leaves behind in one layer."""

    heads: int
    key_dim: int
    value_dim: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        return self.heads * (self.key_dim + self.value_dim) * self.dtype.itemsize


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # the base is untyped
    """One layer's ``keys`` and ``values``: (slots, heads, max_length, dim). Sliding layers keep
    everything too; their mask hides what has slid out.
    """

    def __init__(self, shape: LayerShape, slots: int, max_length: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base is untyped
        room = (slots, shape.heads, max_length)
        self.keys: torch.Tensor = torch.zeros(
            (*room, shape.key_dim), dtype=shape.dtype, device=shape.device
        )
        self.values: torch.Tensor = torch.zeros(
            (*room, shape.value_dim), dtype=shape.dtype, device=shape.device
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the packed step's (1, heads, tokens, dim) to its slots, in place, and return them
        as they came: attention reads the slots themselves.
        """
        step = running_step()
        slots, positions = step.places(self.keys.device)
        self.keys[slots, :, positions] = key_states[0].transpose(0, 1)
        self.values[slots, :, positions] = value_states[0].transpose(0, 1)
        step.written = Written(key_states, self.keys, self.values)
        return key_states, value_states

    def copy(self, source: int, target: int, length: int) -> None:
        for tensor in (self.keys, self.values):
            tensor[target, :, :length] = tensor[source, :, :length]

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing: the tensors are there from the start."""

    def get_seq_length(self) -> int:
        return 0  # rows differ; positions are always given explicitly

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0  # unused: masks are made per span

    def get_max_length(self) -> int:
        return int(self.keys.shape[2])


class SlotCache(Cache):
    """All layers. Owned by the engine, which drops it at close."""

    def __init__(self, shapes: list[LayerShape], slots: int, max_length: int) -> None:
        self.slot_layers = [SlotLayer(shape, slots, max_length) for shape in shapes]
        super().__init__(layers=[*self.slot_layers])

    def copy(self, source: int, target: int, length: int) -> None:
        """Make the first ``length`` entries of slot ``target`` those of ``source``."""
        for layer in self.slot_layers:
            layer.copy(source, target, length)

    def clear(self, slot: int, start: int, end: int) -> None:
        """Zero the entries from ``start`` up to ``end``."""
        for layer in self.slot_layers:
            layer.keys[slot, :, start:end] = 0
            layer.values[slot, :, start:end] = 0

    def drop(self) -> None:
        """Let go of all tensors; the cache is of no use afterwards."""
        self.slot_layers.clear()
        self.layers.clear()
