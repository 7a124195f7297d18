"""Pocket: the tiny bundled model of EngineBay."""

from pathlib import Path

__all__ = ["model"]


def model() -> Path:
    """The directory of the checkpoint, in the layout that Transformers reads."""
    return Path(__file__).parent / "model"
