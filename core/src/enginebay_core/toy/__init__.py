"""A backend for tests: no weights, no dependencies, and any bookkeeping fault shows.

The next id is a hash of the ids read back from the engine's own KV, so an id that was written to
the wrong place, read from another row or lost changes everything that follows.
"""

from pathlib import Path

from enginebay_core.toy.backend import ToyBackend, ToyOptions
from enginebay_core.toy.embedder import ToyEmbedder
from enginebay_core.toy.engine import ToyEngine

__all__ = ["ToyBackend", "ToyEmbedder", "ToyEngine", "ToyOptions", "model"]


def model() -> Path:
    """The directory of the model ``toy``, which holds its description and nothing else."""
    return Path(__file__).parent / "model"
