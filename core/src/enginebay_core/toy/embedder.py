"""The embedder of ``toy``: vectors without a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import EmbeddingSpec, pool
from enginebay_core.toy.engine import VOCAB_SIZE

DIMENSIONS: Final = 16
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # of Fibonacci hashing


class ToyEmbedder:
    """The state of an id is a hash of all ids up to it; a vector is the mean of the states, so an
    id that is lost, doubled or another input's shows.
    """

    def __init__(self, *, max_length: int = 2048, step_seconds: float = 0.0) -> None:
        self.spec = EmbeddingSpec(
            vocab_size=VOCAB_SIZE,
            max_length=max_length,
            dimensions=DIMENSIONS,
            shrinkable=True,
            facts={"device": "none", "pooling": "mean"},
        )
        self._step_seconds = step_seconds

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        time.sleep(self._step_seconds)
        lengths = [len(ids) for ids in inputs]
        padded = np.zeros((len(inputs), max(lengths)), np.uint64)
        for row, ids in zip(padded, inputs, strict=True):
            row[: len(ids)] = ids
        return pool(states(padded), lengths, "mean")

    def close(self) -> None:
        """There is nothing to free."""


def states(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """(inputs, ids) to (inputs, ids, dimensions), each entry in [-1, 1)."""
    places = np.arange(1, ids.shape[1] + 1, dtype=np.uint64)
    seen = np.cumsum((ids + np.uint64(1)) * places * _MULTIPLIER, axis=1, dtype=np.uint64)
    mixed = (seen[:, :, None] ^ np.arange(DIMENSIONS, dtype=np.uint64)) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIER
    scaled = (mixed >> np.uint64(40)).astype(np.float32) * np.float32(2**-23)
    found: npt.NDArray[np.float32] = scaled - np.float32(1)
    return found
