"""Many sequences at once: ragged steps over KV slots of our own."""

from __future__ import annotations

import torch

from enginebay_core.api import CopyPrefix, EngineSpec, Free, KvOperation, Rewind, StepBatch
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.decode_graphs import DecodeGraphs
from enginebay_transformers.decode_rows import DecodeKernel
from enginebay_transformers.slot_cache import SlotCache, run_step
from enginebay_transformers.slot_step import lay_out
from enginebay_transformers.torch_sampling import TorchSampling


class SlotEngine(TorchSampling):
    """A StepEngine for models of full and sliding attention, dense or MoE.

    ``kernel`` attends for decode rows, where there is one for the device; ``graphs`` replay
    steps of nothing but decode rows.
    """

    def __init__(
        self,
        model: CausalModel,
        cache: SlotCache,
        spec: EngineSpec,
        kernel: DecodeKernel | None = None,
        graphs: DecodeGraphs | None = None,
    ) -> None:
        self._model = model
        self._cache = cache
        self._kernel = kernel
        self._graphs = graphs
        self._filled = [0] * spec.max_sequences
        self.spec = spec

    @torch.inference_mode()
    def forward(self, batch: StepBatch) -> torch.Tensor:
        for operation in batch.operations:
            self._apply(operation)
        for row in batch.rows:
            self._cut(row.slot, row.start)
            self._filled[row.slot] = row.start + len(row.ids)
        if self._graphs is not None and self._graphs.serve(batch.rows):
            return self._graphs.replay(batch.rows)
        step = lay_out(batch.rows, self._model.device, self._kernel, self._cache.slot_layers)
        return run_step(self._model, self._cache, step)

    def _apply(self, operation: KvOperation) -> None:
        match operation:
            case CopyPrefix(source, target, length):
                self._cut(target, 0)
                self._cache.copy(source, target, length)
                self._filled[target] = length
            case Rewind(slot, length):
                self._cut(slot, length)
            case Free(slot):
                self._cut(slot, 0)

    def _cut(self, slot: int, length: int) -> None:
        """Zero what lies past ``length``: masked entries weigh nothing, but nothing times a NaN
        that an overflowing sequence left behind would still be NaN.
        """
        if self._filled[slot] > length:
            self._cache.clear(slot, length, self._filled[slot])
            self._filled[slot] = length

    def close(self) -> None:
        self._graphs = None
        self._cache.drop()
        self._model.close()
