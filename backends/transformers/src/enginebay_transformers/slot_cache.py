"""Keys and values of every slot, in tensors of our own behind Transformers' Cache interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.slot_step import Places, SlotStep, Written, running, running_step


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
    """One layer's ``keys`` and ``values``: (slots, heads, entries, dim). Sliding layers keep
    everything too; their mask hides what has slid out.
    """

    def __init__(self, shape: LayerShape, slots: int, entries: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base is untyped
        room = (slots, shape.heads, entries)
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
        as they came: attention reads the slots themselves. Compiled layers leave the writing to
        their attention, which the compiler does not look into.
        """
        if not torch.compiler.is_compiling():
            step = running_step()
            self.write(key_states, value_states, step.places(self.keys.device))
            step.written = Written(key_states, self)
        return key_states, value_states

    def write(self, key: torch.Tensor, value: torch.Tensor, places: Places) -> None:
        self.keys[places.slots, :, places.entries] = key[0].transpose(0, 1)
        self.values[places.slots, :, places.entries] = value[0].transpose(0, 1)

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
    """All layers. Owned by the engine, which drops it at close. Each slot has one entry more than
    ``max_length``, its last: scratch, where rows that only fill a batch up write.
    """

    def __init__(self, shapes: list[LayerShape], slots: int, max_length: int) -> None:
        self.scratch = max_length
        self.slot_layers = [SlotLayer(shape, slots, max_length + 1) for shape in shapes]
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


def run_step(model: CausalModel, cache: SlotCache, step: SlotStep) -> torch.Tensor:
    """Logits of the places that the step keeps: (kept, vocabulary)."""
    with running(step):
        logits, _ = model.run(
            step.ids, step.positions, step.keep, past_key_values=cache, use_cache=True
        )
    return logits
