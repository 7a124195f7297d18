"""The entry point. Torch and Transformers are imported by ``load``, not before."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import (
    Capabilities,
    Embedder,
    Generator,
    Progress,
    StepEngine,
    step_capabilities,
)
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.task import embeds


class TransformersBackend:
    """Serves any ``AutoModelForCausalLM``, and vectors of any ``AutoModel``, from a local
    directory; never opens a connection.
    """

    options = TransformersOptions
    tokenizer = "huggingface"

    def load(
        self, model: Path, options: TransformersOptions, progress: Progress
    ) -> StepEngine | Embedder:
        """Raises ModelError; loads of one process run one after the other."""
        checkpoint = Checkpoint.open(model)
        progress("importing torch and transformers")
        if embeds(checkpoint, options):
            from enginebay_transformers.embedder import load_embedder  # noqa: PLC0415 - as below

            return load_embedder(checkpoint, options, progress)
        from enginebay_transformers.loading import load_engine  # noqa: PLC0415 - seconds of import

        return load_engine(checkpoint, options, progress)

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
