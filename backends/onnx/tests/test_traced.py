"""Graphs that Transformers traces, for architectures the builder does not know.

Tracing takes minutes on a slow machine, and needs onnxscript.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import CopyPrefix, ModelError, StepBatch, StepRow
from enginebay_core.export import export_model
from enginebay_core.export.gate import GateClosed
from enginebay_onnx import OnnxExporter, plain_graph
from enginebay_onnx.plain_engine import PASS

pytestmark = pytest.mark.environments
for needed in ("onnxruntime", "onnxscript", "torch", "transformers"):
    pytest.importorskip(
        needed, reason=f"{needed} is not installed: backends/onnx[cpu,transformers]"
    )

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2Config",
        {"vocab_size": 256, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        {
            "vocab_size": 256,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 256,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "mamba": ("MambaConfig", {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 2}),
}


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        import torch
        import transformers

        kind, settings = CONFIGS[name]
        torch.manual_seed(0)
        theirs: Any = transformers
        theirs.logging.disable_progress_bar()
        model = theirs.AutoModelForCausalLM.from_config(getattr(theirs, kind)(**settings))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        out = tmp_path_factory.mktemp("tiny")
        model.save_pretrained(out)
        return out

    return make


@pytest.mark.parametrize("name", ["gpt2", "gemma3"])
def test_a_traced_graph_equals_transformers(
    name: str, checkpoint: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    said = export_model(checkpoint(name), "onnx", out, quiet)
    assert said.facts == {"graph": "plain"}
    assert {"torch", "transformers", "onnxscript"} < set(said.tools)
    assert said.parity.reference == "transformers"
    assert said.parity.worst < 1e-5
    assert capfd.readouterr().out == ""
    engine: Any = OnnxExporter().open(out, "fp32", quiet)
    ids = tuple(7 * i % 251 for i in range(1, 41))
    whole = engine.forward(StepBatch((), (StepRow(0, 0, ids, "all"),)))
    copied = (CopyPrefix(source=0, target=3, length=12),)
    rest = engine.forward(StepBatch(copied, (StepRow(3, 12, ids[12:], "all"),)))
    assert abs(rest - whole[12:]).max() < 1e-4
    engine.close()


def test_long_prompts_run_in_passes(checkpoint: Any, tmp_path: Path) -> None:
    OnnxExporter().write(checkpoint("gpt2"), tmp_path, "fp32", quiet)
    engine: Any = OnnxExporter().open(tmp_path, "fp32", quiet)
    ids = tuple(7 * i % 251 for i in range(PASS + 20))
    logits = engine.forward(StepBatch((), (StepRow(1, 0, ids),)))
    singles = [engine.forward(StepBatch((), (StepRow(2, i, (one,)),))) for i, one in enumerate(ids)]
    assert abs(logits - singles[-1]).max() < 1e-4
    engine.close()


def test_a_mask_that_was_traced_away_closes_the_gate(
    checkpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the exporter makes of a sample whose mask is all ones."""
    honest = plain_graph.make_sample

    def without_padding(loaded: Any, modules: Any) -> dict[str, Any]:
        sample = honest(loaded, modules)
        del sample["attention_mask"]
        return sample

    monkeypatch.setattr(plain_graph, "make_sample", without_padding)
    monkeypatch.setattr(plain_graph, "rename", keep_the_mask(plain_graph.rename))
    with pytest.raises(GateClosed, match="case 'ragged batch', prompt"):
        export_model(checkpoint("gpt2"), "onnx", tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def keep_the_mask(rename: Callable[[Any], None]) -> Callable[[Any], None]:
    """The graph still takes a mask, and nothing reads it."""

    def renamed(graph: Any) -> None:
        import onnx_ir

        rename(graph)
        shape = onnx_ir.Shape(["batch", "whole"])
        kind = onnx_ir.TensorType(onnx_ir.DataType.INT64)
        graph.inputs.append(onnx_ir.Value(name="attention_mask", shape=shape, type=kind))

    return renamed


def test_what_keeps_no_keys_and_values_is_refused(checkpoint: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='backend = "transformers"'):
        export_model(checkpoint("mamba"), "onnx", tmp_path / "out", quiet)


def test_traced_graphs_are_fp32(checkpoint: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"precision is 'int8', and the graph .* must be traced"):
        export_model(checkpoint("gpt2"), "onnx", tmp_path / "out", quiet, precision="int8")
