"""Many sequences at once: ragged steps over KV slots of our own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from enginebay_core.api import CopyPrefix, EngineSpec, KvOperation, StepBatch
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.slot_cache import SlotCache
from enginebay_transformers.slot_step import SlotStep, running
from enginebay_transformers.torch_sampling import TorchSampling


class SlotEngine(TorchSampling):
    """A StepEngine for models of full and sliding attention, dense or MoE."""

    def __init__(self, model: CausalModel, cache: SlotCache, spec: EngineSpec) -> None:
        self._model = model
        self._cache = cache
        self.spec = spec

    @torch.inference_mode()
    def forward(self, batch: StepBatch) -> torch.Tensor:
        self._apply(batch.operations)
        step = SlotStep(batch.rows, self._model.device)
        positions = step.places(self._model.device)[1][None]
        with running(step):
            logits, _ = self._model.run(
                step.ids, positions, step.keep, past_key_values=self._cache, use_cache=True
            )
        return logits

    def _apply(self, operations: Sequence[KvOperation]) -> None:
        """Rewind and Free need nothing: no row reads entries at or past its own position."""
        for operation in operations:
            if isinstance(operation, CopyPrefix):
                self._cache.copy(operation.source, operation.target, operation.length)

    def close(self) -> None:
        self._cache.drop()
        self._model.close()
