"""The embedding protocol: an engine that makes one vector of each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What core must know and obey. Fixed once the engine is loaded.

    ``max_length``: ids of one input. ``dimensions``: components of a vector. ``normalize``: whether
    the server is to scale vectors to length 1. ``shrinkable``: whether the model was trained so
    that the first components of a vector are a vector too (Matryoshka, arXiv:2205.13147).
    ``batch_ids``: one call gets no more inputs than make so many ids when all are padded to the
    longest; a single input may be longer. ``facts`` tells the operator what was chosen; it is
    published.
    """

    vocab_size: int
    max_length: int
    dimensions: int
    normalize: bool = True
    shrinkable: bool = False
    batch_ids: int = 8192
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Embedder(Protocol):
    """Write this for models that make vectors. Core calls all methods from one thread of its own,
    and batches the inputs of all requests.
    """

    @property
    def spec(self) -> EmbeddingSpec: ...

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Shape (inputs, dimensions), in order, neither shortened nor scaled. Each input has
        between 1 and ``max_length`` ids; its vector does not depend on its neighbours, but for
        rounding. What is raised fails these inputs and no others.
        """
        ...

    def close(self) -> None:
        """Free everything. Called once, after the last call."""
        ...
