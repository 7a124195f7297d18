"""Has Optimum write a checkpoint as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError, Progress, StepEngine
from enginebay_core.export import Reference
from enginebay_optimum.graph_model import GRAPH
from enginebay_optimum.libraries import NEEDED, installed_version, quiet, require_libraries
from enginebay_optimum.loading import open_graph
from enginebay_optimum.options import OptimumOptions
from enginebay_optimum.torch_model import load_torch

REFERENCES: Final = (
    Reference("numpy", {"max_sequences": 1}),
    Reference("optimum", {"engine": "torch", "max_sequences": 1}),
)
"""numpy reads the checkpoint by itself, so it also sees what a conversion loses."""
TASK: Final = "text-generation-with-past"
OPSET: Final = 18


class OptimumExporter:
    """Runs where the backend runs, in the environment, when a checkpoint is first served."""

    precisions = ("fp32",)
    references = REFERENCES

    def versions(self, model: Path) -> Mapping[str, str]:
        return {name: installed_version(name) for name in ("enginebay-optimum", "optimum", *NEEDED)}

    def write(
        self, model: Path, out: Path, precision: str, progress: Progress
    ) -> Mapping[str, str]:
        require_libraries()
        with quiet():
            loaded = load_torch(model, progress)
            progress("tracing the model")
            trace(loaded, out)
        return {"task": TASK, "opset": str(OPSET)}

    def open(self, exported: Path, precision: str, progress: Progress) -> StepEngine:
        progress("opening the graph")
        return open_graph(exported, OptimumOptions(max_sequences=6))


def trace(loaded: Any, out: Path) -> None:
    """Leaves the graph, its weights and the config. Raises ModelError with Optimum's reason."""
    from optimum.exporters.onnx import onnx_export_from_model  # noqa: PLC0415 - heavy

    try:
        onnx_export_from_model(loaded, out, opset=OPSET, task=TASK, do_validation=False)
    except Exception as error:  # what cannot be exported fails in ways of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"Optimum cannot export {type(loaded).__name__} ({reason}); use backend = "
            '"transformers" for this model'
        ) from error
    if not (out / GRAPH).is_file():
        raise ModelError(f"Optimum wrote no {GRAPH}; use backend = 'transformers' for this model")
    for file in out.iterdir():
        if not (file.name.startswith(GRAPH) or file.name == "config.json"):
            file.unlink()
