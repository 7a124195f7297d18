"""Decode steps recorded as CUDA graphs, one per batch size: replaying one costs a single launch.

The recorded kernels read ids, positions and places from tensors that stay where they are. A step
of fewer rows than its graph has is filled up with rows that see nothing, and write to scratch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import torch

from enginebay_core.api import Progress, StepRow
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.compiled_layers import compiled_layers
from enginebay_transformers.decode_rows import DecodeKernel
from enginebay_transformers.slot_cache import SlotCache, run_step
from enginebay_transformers.slot_step import Places, SlotStep

logger = logging.getLogger(__name__)

SMALL: Final = (1, 2, 4)
STRIDE: Final = 8
"""Batch sizes that have a graph: these, then every eighth."""
WARMUPS: Final = 2
"""Runs before recording: they compile kernels and make the libraries take their workspaces."""


def bucket_sizes(most: int) -> tuple[int, ...]:
    """Ascending; the last serves ``most`` rows."""
    sizes = [size for size in SMALL if size < most]
    return (*sizes, *(min(size, most) for size in range(STRIDE, most + STRIDE, STRIDE)))


class StepInputs:
    """The tensors that a decode step of up to ``most`` rows reads, always the same ones: for
    each row id, position, slot, entry to write and number of entries seen.
    """

    def __init__(self, most: int, cache: SlotCache, device: torch.device) -> None:
        self._filler = (0, 0, 0, cache.scratch, 0)
        self._most = most
        self._table = torch.tensor([self._filler] * most, device=device).T.contiguous()

    def fill(self, rows: Sequence[StepRow]) -> None:
        """From pinned memory, which torch keeps until the copy is done: nobody waits for it."""
        lines = [(row.ids[0], row.start, row.slot, row.start, row.start + 1) for row in rows]
        lines += [self._filler] * (self._most - len(rows))
        pinned = self._table.is_cuda
        table = torch.tensor(list(zip(*lines, strict=True)), pin_memory=pinned)
        self._table.copy_(table, non_blocking=pinned)

    def step(self, size: int, kernel: DecodeKernel, cache: SlotCache) -> SlotStep:
        """Over the first ``size`` rows, whatever they will be."""
        ids, positions, slots, entries, lengths = self._table[:, :size]
        return SlotStep(
            ids[None],
            positions[None],
            Places(slots, entries, lengths),
            kernel=kernel,
            decoding=size,
            layers=cache.slot_layers,
        )


class DecodeGraphs:
    """All graphs of one engine. Drop it before the cache whose slots they write."""

    def __init__(self, inputs: StepInputs) -> None:
        self._inputs = inputs
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

    @property
    def sizes(self) -> list[int]:
        """Batch sizes that have a graph, ascending."""
        return sorted(self._graphs)

    @classmethod
    def record(
        cls,
        model: CausalModel,
        cache: SlotCache,
        kernel: DecodeKernel,
        most: int,
        progress: Progress,
    ) -> DecodeGraphs:
        """Largest first, so that the smaller ones find room in the memory it took. Raises what
        CUDA or the model raises where a step cannot be recorded.
        """
        inputs = StepInputs(most, cache, model.device)
        graphs, pool = cls(inputs), torch.cuda.graph_pool_handle()
        sizes = bucket_sizes(most)
        with compiled_layers(model.model, len(cache.slot_layers)):
            for done, size in enumerate(reversed(sizes)):
                progress("recording CUDA graphs", done, len(sizes))
                step = inputs.step(size, kernel, cache)
                graphs._graphs[size] = record_step(model, cache, step, pool)
        progress("recording CUDA graphs", len(sizes), len(sizes))
        return graphs

    def serve(self, rows: Sequence[StepRow]) -> bool:
        """Whether a graph does this step: one id per row, and logits of each."""
        return len(rows) <= max(self._graphs) and all(
            len(row.ids) == 1 and row.logits != "none" for row in rows
        )

    def replay(self, rows: Sequence[StepRow]) -> torch.Tensor:
        """Logits (rows, vocabulary), in row order; a copy, for the next replay overwrites them."""
        self._inputs.fill(rows)
        size = min(size for size in self._graphs if size >= len(rows))
        graph, logits = self._graphs[size]
        graph.replay()
        return logits[: len(rows)].clone()


@torch.inference_mode()
def record_step(
    model: CausalModel, cache: SlotCache, step: SlotStep, pool: Any
) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """The graph, and the tensor that holds its logits after each replay."""
    aside = torch.cuda.Stream(model.device)  # type: ignore[no-untyped-call]  # torch's
    aside.wait_stream(torch.cuda.current_stream(model.device))
    with torch.cuda.stream(aside):
        for _ in range(WARMUPS):
            run_step(model, cache, step)
    torch.cuda.current_stream(model.device).wait_stream(aside)
    torch.cuda.synchronize(model.device)
    graph = torch.cuda.CUDAGraph()
    # other threads may use the device meanwhile: another engine's, or a loading model's
    with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
        logits = run_step(model, cache, step)
    return graph, logits
