"""One sequence at a time, with the cache that the model brings: linear, hybrid and all others."""

from __future__ import annotations

from typing import Any

import torch

from enginebay_core.api import EngineError, EngineSpec, Free, StepBatch, StepRow
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.slot_step import kept
from enginebay_transformers.torch_sampling import TorchSampling


class NativeEngine(TorchSampling):
    """A StepEngine with one slot. Its cache only ever grows: no sharing, no rewind."""

    def __init__(self, model: CausalModel, spec: EngineSpec) -> None:
        self._model = model
        self._cache: Any = None
        self._length = 0
        self.spec = spec

    @torch.inference_mode()
    def forward(self, batch: StepBatch) -> torch.Tensor:
        if any(isinstance(operation, Free) for operation in batch.operations):
            self._forget()
        (row,) = batch.rows
        if row.start == 0:
            self._forget()
        if row.start != self._length:
            raise EngineError(
                f"the model's own cache holds {self._length} ids, and a step starts at {row.start}"
            )
        return self._run(row)

    def _run(self, row: StepRow) -> torch.Tensor:
        name = self._model.cache_name
        assert name is not None  # proved at load
        held = {} if self._cache is None else {name: self._cache}
        end = row.start + len(row.ids)
        ids = torch.tensor([row.ids], device=self._model.device)
        positions = torch.arange(row.start, end, device=self._model.device)[None]
        logits, output = self._model.run(ids, positions, kept(row, 0), use_cache=True, **held)
        self._cache, self._length = getattr(output, name), end
        return logits

    def _forget(self) -> None:
        self._cache, self._length = None, 0

    def close(self) -> None:
        self._forget()
        self._model.close()
