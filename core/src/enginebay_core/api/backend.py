"""What a plugin's entry point in ``enginebay.backends.v1`` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from enginebay_core.api.capabilities import Capabilities
from enginebay_core.api.embedding import Embedder
from enginebay_core.api.generator import Generator
from enginebay_core.api.options import EngineOptions
from enginebay_core.api.step import StepEngine

OptionsT_contra = TypeVar("OptionsT_contra", bound=EngineOptions, contravariant=True)


class Progress(Protocol):
    """Called by ``load`` as it goes, from any thread: no call for long means it hangs."""

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        """``stage`` in a few words ("reading weights"); ``done`` of ``total``, 0 when unknown."""
        ...


class Backend(Protocol[OptionsT_contra]):
    """The entry point names a factory without arguments, usually the class itself.

    Importing and making it must be cheap: heavy imports belong into ``load``.
    """

    @property
    def options(self) -> type[EngineOptions]:
        """The options model, read before anything is loaded."""
        ...

    @property
    def tokenizer(self) -> str:
        """Name in ``enginebay.tokenizers.v1`` of the default tokenizer: ``"huggingface"``."""
        ...

    def load(
        self, model: Path, options: OptionsT_contra, progress: Progress
    ) -> Generator | StepEngine | Embedder:
        """Load the checkpoint in the directory ``model``; blocks, never on the event loop.

        Raises ModelError when the files are missing, damaged or of an architecture it lacks.
        The caller closes what is returned.
        """
        ...

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        """What this loaded engine honours; step engines return ``step_capabilities()``. Embedders,
        which generate nothing, are not asked.
        """
        ...
