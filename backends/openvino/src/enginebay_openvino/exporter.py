"""Writes a checkpoint as OpenVINO IR: ``enginebay export MODEL --to openvino``."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from enginebay_core.api import ModelError, Progress, StepEngine
from enginebay_core.export import NotBuilt, Reference, Tensors, read_decoder, read_json

TOOLS: Final = ("enginebay-openvino", "openvino")
REFERENCES: Final = (
    Reference("transformers", {"device": "cpu", "dtype": "float32", "max_sequences": 1}),
    Reference("numpy", {"max_sequences": 1}),
)


class OpenVinoExporter:
    """The stateful graph of a Llama-like decoder, node by node, without torch. Others are refused
    by name.
    """

    precisions = ("f32", "bf16", "int8")
    references = REFERENCES

    def versions(self, model: Path) -> Mapping[str, str]:
        return {name: version(name) for name in TOOLS}

    def write(
        self, model: Path, out: Path, precision: str, progress: Progress
    ) -> Mapping[str, str]:
        """Raises ModelError for an architecture that the builder does not know."""
        try:
            decoder = read_decoder(read_json(model / "config.json"))
        except NotBuilt as reason:
            raise ModelError(
                f"this model cannot be exported to OpenVINO: {reason}; backend 'transformers' "
                "runs other architectures"
            ) from None
        from enginebay_openvino.graph import write_graph  # noqa: PLC0415 - imports openvino

        write_graph(decoder, Tensors(model), out, precision, progress)
        return {"graph": "stateful"}

    def open(self, exported: Path, precision: str, progress: Progress) -> StepEngine:
        from enginebay_openvino.graph_engine import GraphEngine  # noqa: PLC0415 - imports openvino

        progress("opening the graph")
        return GraphEngine(exported, precision)


def version(name: str) -> str:
    """Raises ModelError where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"an export to OpenVINO needs {name!r}, which is not installed: "
            "pip install './backends/openvino[runtime]'"
        ) from None
