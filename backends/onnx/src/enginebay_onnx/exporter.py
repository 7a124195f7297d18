"""Writes a checkpoint as an ONNX graph: ``enginebay export MODEL --to onnx``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enginebay_core.api import ModelError, Progress, StepEngine
from enginebay_core.export import Decoder, NotBuilt, Reference, Tensors, read_decoder, read_json
from enginebay_onnx.loading import open_engine
from enginebay_onnx.options import OnnxOptions

REFERENCES: Final = (
    Reference("transformers", {"device": "cpu", "dtype": "float32", "max_sequences": 1}),
    Reference("numpy", {"max_sequences": 1}),
)


class OnnxExporter:
    """A graph over KV slots for Llama-like decoders; for others the plain graph that Transformers
    exports.
    """

    precisions = ("fp32", "int8", "fp16")
    references = REFERENCES

    def versions(self, model: Path) -> Mapping[str, str]:
        tools = ["enginebay-onnx", "onnx", runtime_name()]
        if plan(model).decoder is None:
            tools += ["transformers", "torch", "onnxscript"]
        return {name: version(name) for name in tools}

    def write(
        self, model: Path, out: Path, precision: str, progress: Progress
    ) -> Mapping[str, str]:
        """The fact "graph" says which of the two it is."""
        planned = plan(model)
        if planned.decoder is None:
            write_traced(model, out, precision, planned.reason, progress)
            return {"graph": "plain"}
        from enginebay_onnx.slot_graph import write_slot_graph  # noqa: PLC0415 - imports onnx

        write_slot_graph(planned.decoder, Tensors(model), out, precision, progress)
        return {"graph": "slots"}

    def open(self, exported: Path, precision: str, progress: Progress) -> StepEngine:
        progress("opening the graph")
        return open_engine(exported, precision, OnnxOptions(max_sequences=6))


@dataclass(frozen=True, slots=True)
class Plan:
    """``decoder`` is None where the graph must be traced, and ``reason`` says why."""

    decoder: Decoder | None
    reason: str = ""


def plan(model: Path) -> Plan:
    """Raises ModelError for a config that makes no sense."""
    try:
        return Plan(read_decoder(read_json(model / "config.json")))
    except NotBuilt as reason:
        return Plan(None, str(reason))


def write_traced(model: Path, out: Path, precision: str, reason: str, progress: Progress) -> None:
    from enginebay_onnx.plain_graph import write_plain_graph  # noqa: PLC0415 - may import torch

    if precision != "fp32":
        raise ModelError(
            f"precision is {precision!r}, and the graph of this model must be traced, since "
            f"{reason}; traced graphs are fp32"
        )
    write_plain_graph(model, out, reason, progress)


def runtime_name() -> str:
    """The distribution that brings ONNX Runtime, of the two that do."""
    installed = importlib.util.find_spec("onnxruntime") is not None
    names = importlib.metadata.packages_distributions().get("onnxruntime", [])
    return names[0] if installed and names else "onnxruntime"


def version(name: str) -> str:
    """Raises ModelError where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"an export to ONNX needs {name!r}, which is not installed: "
            "pip install './backends/onnx[cpu]', or with [cuda] for NVIDIA GPUs"
        ) from None
