"""The entry point. OpenVINO is imported by ``load``, not before."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import (
    Capabilities,
    EngineOptions,
    Generator,
    ModelError,
    Progress,
    StepEngine,
)
from enginebay_core.export import exported, read_manifest
from enginebay_openvino.claims import claims
from enginebay_openvino.options import OpenVinoOptions


class OpenVinoBackend:
    """Serves exports; a plain checkpoint is exported into the cache first, once."""

    options: type[EngineOptions] = OpenVinoOptions
    tokenizer = "huggingface"

    def load(self, model: Path, options: OpenVinoOptions, progress: Progress) -> Generator:
        """Raises ModelError, GateClosed included."""
        directory = exported(model, "openvino", options.precision, progress)
        progress("opening the graph")
        try:
            from enginebay_openvino.loading import open_generator  # noqa: PLC0415 - heavy
        except ImportError as error:
            raise ModelError(
                f"openvino or openvino-genai cannot be imported ({error}): "
                "pip install './backends/openvino[runtime]'"
            ) from error
        return open_generator(directory, read_manifest(directory).precision, options)

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return claims(spelled=getattr(engine, "spelling", None) is not None)
