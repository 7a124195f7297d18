"""Vectors of many texts at once: one padded forward pass, then pooling in float32."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from enginebay_core.api import (
    EmbeddingSpec,
    ModelError,
    Pooling,
    PoolingRecipe,
    Progress,
    read_pooling,
)
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.hardware import choose_device, choose_dtype
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.weights import load_encoder, naming_errors, reporting

BATCH_IDS: Final = {"cpu": 4096, "cuda": 32_768, "mps": 8192}
"""Ids of one pass: enough to keep the device busy, and soon over."""

logger = logging.getLogger(__name__)


def load_embedder(
    checkpoint: Checkpoint, options: TransformersOptions, progress: Progress
) -> TransformersEmbedder:
    """Raises ModelError; what was loaded until then is freed."""
    recipe = read_pooling(checkpoint.directory) or PoolingRecipe()
    if options.pooling != "auto":
        recipe = replace(recipe, pooling=options.pooling)
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, checkpoint, device)
    progress("reading weights")
    model = CausalModel(load_encoder(checkpoint, options, device, dtype, progress))
    try:
        progress("checking the model")
        with reporting(progress), naming_errors(checkpoint):
            spec = make_spec(model, recipe, options)
            embedder = TransformersEmbedder(model, recipe.pooling, spec)
            embedder.embed([[1, 2], [3]])
    except BaseException:
        model.close()
        raise
    facts = embedder.spec.facts.items()
    logger.info("loaded: %s", ", ".join(f"{name} {value}" for name, value in facts))
    return embedder


def make_spec(
    model: CausalModel, recipe: PoolingRecipe, options: TransformersOptions
) -> EmbeddingSpec:
    config = model.config.get_text_config()
    said = getattr(config, "is_matryoshka", None) or getattr(config, "matryoshka_dimensions", None)
    return EmbeddingSpec(
        vocab_size=config.vocab_size,
        max_length=choose_length(model, recipe, options),
        dimensions=config.hidden_size,
        normalize=recipe.normalize,
        shrinkable=options.shrinkable or bool(said),
        batch_ids=BATCH_IDS[model.device.type],
        facts={
            "device": ", ".join(model.devices),
            "dtype": str(model.dtype).removeprefix("torch."),
            "architecture": type(model.model).__name__,
            "attention": model.attention,
            "pooling": recipe.pooling,
        },
    )


def choose_length(model: CausalModel, recipe: PoolingRecipe, options: TransformersOptions) -> int:
    """Raises ModelError where nothing says how long an input may be, or more is asked for."""
    trained = positions(model)
    known = [length for length in (trained, recipe.max_length) if length is not None]
    if options.max_length is not None:
        if trained is not None and options.max_length > trained:
            raise ModelError(
                f"options.max_length is {options.max_length}, and the model has {trained} "
                "positions; lower it or leave it out"
            )
        return options.max_length
    if not known:
        raise ModelError("the model does not say how long its inputs may be; set max_length")
    return min(known)


def positions(model: CausalModel) -> int | None:
    """RoBERTa's kind counts positions from the one after its padding id."""
    config = model.config.get_text_config()
    trained = getattr(config, "max_position_embeddings", None)
    if trained is None:
        return None
    embeddings = getattr(model.model, "embeddings", None)
    offset = hasattr(embeddings, "create_position_ids_from_input_ids")
    return int(trained) - (int(config.pad_token_id) + 1 if offset else 0)


class TransformersEmbedder:
    """An Embedder over any model with ``last_hidden_state``. Inputs are padded on the right."""

    def __init__(self, model: CausalModel, pooling: Pooling, spec: EmbeddingSpec) -> None:
        self._model = model
        self._pooling = pooling
        self._padding = int(getattr(model.config, "pad_token_id", None) or 0)
        accepts = inspect.signature(model.model.forward).parameters
        self._extra: dict[str, Any] = {"use_cache": False} if "use_cache" in accepts else {}
        self.spec = spec

    @torch.inference_mode()
    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        longest = max(map(len, inputs))
        padded = [[*ids, *[self._padding] * (longest - len(ids))] for ids in inputs]
        ids = torch.tensor(padded, device=self._model.device)
        lengths = torch.tensor([len(ids) for ids in inputs], device=ids.device)
        there = torch.arange(longest, device=ids.device)[None] < lengths[:, None]
        output = self._model.model(input_ids=ids, attention_mask=there.long(), **self._extra)
        vectors = pool(output.last_hidden_state.float(), lengths, there, self._pooling)
        found: npt.NDArray[np.float32] = vectors.cpu().numpy()
        return found

    def close(self) -> None:
        self._model.close()


def pool(
    hidden: torch.Tensor, lengths: torch.Tensor, there: torch.Tensor, how: Pooling
) -> torch.Tensor:
    """The twin of ``enginebay_core.api.pool``, where the hidden states are."""
    lengths, there = lengths.to(hidden.device), there.to(hidden.device)
    if how == "cls":
        return hidden[:, 0]
    if how == "last":
        return hidden[torch.arange(len(lengths), device=hidden.device), lengths - 1]
    return torch.where(there[:, :, None], hidden, 0).sum(dim=1) / lengths[:, None]
