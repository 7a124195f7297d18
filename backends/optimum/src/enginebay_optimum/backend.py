"""The entry point. Optimum and torch are imported by ``load``, not before."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import (
    Capabilities,
    EngineOptions,
    Generator,
    Progress,
    StepEngine,
    step_capabilities,
)
from enginebay_core.export import exported
from enginebay_optimum.libraries import require_libraries
from enginebay_optimum.loading import open_graph, open_torch
from enginebay_optimum.options import OptimumOptions


class OptimumBackend:
    """Serves exports; a plain checkpoint is exported into the cache first, once."""

    options: type[EngineOptions] = OptimumOptions
    tokenizer = "huggingface"

    def load(self, model: Path, options: OptimumOptions, progress: Progress) -> StepEngine:
        """Raises ModelError, GateClosed included."""
        require_libraries()
        if options.engine == "torch":
            return open_torch(model, options, progress)
        directory = exported(model, "optimum", None, progress)
        progress("opening the graph")
        return open_graph(directory, options)

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
