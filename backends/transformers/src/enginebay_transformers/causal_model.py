"""A loaded model behind the one call that the engines make."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from enginebay_transformers.on_device import put


class CausalModel:
    """Owns the model. ``device`` takes the ids; with a device map, layers may lie elsewhere."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: PreTrainedModel | None = model.train(False)
        self._accepts = frozenset(inspect.signature(model.forward).parameters)
        self.config = model.config
        self.device: torch.device = model.device
        places = getattr(model, "hf_device_map", {"": model.device}).values()
        self.devices = tuple(sorted({str(torch.device(place)) for place in places}))
        self.dtype: torch.dtype = model.dtype

    @property
    def model(self) -> PreTrainedModel:
        if self._model is None:
            raise RuntimeError("the model is closed")
        return self._model

    @property
    def attention(self) -> str:
        """Transformers' name of the attention that runs; set it to change it."""
        return str(self.config._attn_implementation)

    @attention.setter
    def attention(self, name: str) -> None:
        self.model.set_attn_implementation(name)

    @property
    def cache_name(self) -> str | None:
        """The argument that carries the model's own cache; None where it has none we know."""
        names = ("past_key_values", "cache_params")
        return next((name for name in names if name in self._accepts), None)

    def run(
        self, ids: torch.Tensor, positions: torch.Tensor, keep: Sequence[int] | None, **cache: Any
    ) -> tuple[torch.Tensor, ModelOutput]:
        """Run ``ids`` and ``positions`` of shape (1, tokens). Returns the logits (kept,
        vocabulary) of the places in ``keep``, in its order, or of all where it is None, and all
        that the model returned.
        """
        arguments: dict[str, Any] = {"input_ids": ids, **cache}
        if "position_ids" in self._accepts:
            arguments["position_ids"] = positions
        if keep is None:
            output = self.model(**arguments)
            return output.logits[0], output
        places = put(keep, torch.long, ids.device)
        if "logits_to_keep" in self._accepts and len(self.devices) == 1:
            output = self.model(**arguments, logits_to_keep=places)
            return output.logits[0], output
        output = self.model(**arguments)
        return output.logits[0, places.to(output.logits.device)], output

    def close(self) -> None:
        """Drop the model and give its memory back; whoever holds tensors drops them first."""
        weights = [] if self._model is None else list(self._model.parameters())
        held = [weakref.ref(weight) for weight in weights]
        del weights
        self._model = None
        if any(weight() is not None for weight in held):
            gc.collect()  # some models are cycles, and a full collection takes a while
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
