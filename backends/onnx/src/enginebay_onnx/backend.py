"""The entry point. ONNX Runtime is imported by ``load``, not before."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import (
    Capabilities,
    Embedder,
    EngineOptions,
    Generator,
    Progress,
    StepEngine,
    read_pooling,
    step_capabilities,
)
from enginebay_core.export import exported, read_manifest
from enginebay_onnx.embedder import open_embedder
from enginebay_onnx.loading import open_engine
from enginebay_onnx.options import DEFAULT_PRECISIONS, OnnxOptions


class OnnxBackend:
    """Serves exports; a plain checkpoint is exported into the cache first, once. Vectors come from
    the graph that a checkpoint brings.
    """

    options: type[EngineOptions] = OnnxOptions
    tokenizer = "huggingface"

    def load(self, model: Path, options: OnnxOptions, progress: Progress) -> StepEngine | Embedder:
        """Raises ModelError, GateClosed included."""
        if options.task == "embed" or (options.task == "auto" and read_pooling(model) is not None):
            progress("opening the graph")
            return open_embedder(model, options)
        precision = options.precision or DEFAULT_PRECISIONS[options.provider]
        directory = exported(model, "onnx", precision, progress)
        progress("opening the graph")
        return open_engine(directory, read_manifest(directory).precision, options)

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
