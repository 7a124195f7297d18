"""Vectors from the encoder graph that a checkpoint brings, as sentence-transformers models do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    EmbeddingSpec,
    ModelError,
    Pooling,
    PoolingRecipe,
    pool,
    read_pooling,
)
from enginebay_core.export import read_json
from enginebay_onnx.options import OnnxOptions
from enginebay_onnx.session import open_session

GRAPHS: Final = ("onnx/model.onnx", "model.onnx")
"""Where such a graph lies, as Optimum and sentence-transformers write it."""
STATES: Final = ("last_hidden_state", "token_embeddings")
BATCH_IDS: Final = 4096


def find_graph(model: Path) -> Path:
    """Raises ModelError where there is none."""
    for name in GRAPHS:
        if (model / name).is_file():
            return model / name
    raise ModelError(
        f"{str(model)!r} is to make vectors and has no {GRAPHS[0]!r}; encoders are not "
        "exported here: take a checkpoint that brings its graph, have `optimum-cli export onnx "
        "--task feature-extraction` write it, or use backend = 'transformers'"
    )


def open_embedder(model: Path, options: OnnxOptions) -> OnnxEmbedder:
    """Raises ModelError when ONNX Runtime cannot open the graph, or it is none of an encoder."""
    recipe = read_pooling(model) or PoolingRecipe()
    pooling = recipe.pooling if options.pooling == "auto" else options.pooling
    session = open_session(find_graph(model), options)
    config = read_json(model / "config.json")
    outputs = {output.name: output for output in session.get_outputs()}
    states = next((name for name in STATES if name in outputs), None)
    if states is None:
        raise ModelError(
            f"the graph gives {', '.join(outputs)}; one that makes vectors gives {STATES[0]}"
        )
    spec = EmbeddingSpec(
        vocab_size=int(config["vocab_size"]),
        max_length=choose_length(config, recipe, options),
        dimensions=int(config["hidden_size"]),
        normalize=recipe.normalize,
        shrinkable=options.shrinkable or bool(config.get("matryoshka_dimensions")),
        batch_ids=BATCH_IDS,
        facts={"device": options.provider, "pooling": pooling},
    )
    return OnnxEmbedder(
        session, states, pooling, spec, padding=int(config.get("pad_token_id") or 0)
    )


def choose_length(config: Mapping[str, Any], recipe: PoolingRecipe, options: OnnxOptions) -> int:
    """Raises ModelError for more than the graph has positions. RoBERTa's kind counts them from the
    one after its padding id.
    """
    trained = int(config["max_position_embeddings"])
    if "roberta" in str(config.get("model_type")):
        trained -= int(config["pad_token_id"]) + 1
    if options.max_length is not None and options.max_length > trained:
        raise ModelError(
            f"options.max_length is {options.max_length!r}, and the model has {trained} positions; "
            "lower it or leave it out"
        )
    return options.max_length or min(trained, recipe.max_length or trained)


class OnnxEmbedder:
    """An Embedder over a graph from padded ids and a mask to hidden states."""

    def __init__(
        self, session: Any, states: str, pooling: Pooling, spec: EmbeddingSpec, *, padding: int
    ) -> None:
        self._session = session
        self._states = states
        self._pooling = pooling
        self._padding = padding
        self._wanted = frozenset(value.name for value in session.get_inputs())
        self.spec = spec

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        lengths = [len(ids) for ids in inputs]
        ids = np.full((len(inputs), max(lengths)), self._padding, np.int64)
        mask = np.zeros_like(ids)
        for index, one in enumerate(inputs):
            ids[index, : len(one)] = one
            mask[index, : len(one)] = 1
        feed = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.tile(np.arange(ids.shape[1]), (len(ids), 1)),
        }
        given = {name: value for name, value in feed.items() if name in self._wanted}
        [hidden] = self._session.run([self._states], given)
        return pool(hidden.astype(np.float32, copy=False), lengths, self._pooling)

    def close(self) -> None:
        del self._session
