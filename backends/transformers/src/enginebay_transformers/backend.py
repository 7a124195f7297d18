"""The entry point. Torch and Transformers are imported by ``load``, not before."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import (
    Capabilities,
    Generator,
    Progress,
    StepEngine,
    step_capabilities,
)
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.options import TransformersOptions


class TransformersBackend:
    """Serves any ``AutoModelForCausalLM`` from a local directory; never opens a connection."""

    options = TransformersOptions
    tokenizer = "huggingface"

    def load(self, model: Path, options: TransformersOptions, progress: Progress) -> StepEngine:
        """Raises ModelError; loads of one process run one after the other."""
        checkpoint = Checkpoint.open(model)
        progress("importing torch and transformers")
        from enginebay_transformers.loading import load_engine  # noqa: PLC0415 - seconds of import

        return load_engine(checkpoint, options, progress)

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
