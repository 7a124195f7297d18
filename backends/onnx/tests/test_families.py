"""Each family of decoders the builder knows, proved by Transformers through the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import ModelError
from enginebay_core.export import NotBuilt, read_decoder, read_json
from enginebay_core.export.gate import GateClosed, check_parity
from enginebay_core.export.reference import ask_reference
from enginebay_core.export.witness import Witness
from enginebay_onnx.exporter import REFERENCES, OnnxExporter

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: backends/onnx[cpu]")
torch = pytest.importorskip("torch", reason="torch is not installed: backends/transformers")
transformers = pytest.importorskip("transformers")

Written = Callable[[Path, str], Path]

SHAPE: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "pad_token_id": None,
}
STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"rope_parameters": STRETCHED, "mlp_bias": True}),
    "llama, biased": ("LlamaConfig", {"attention_bias": True, "tie_word_embeddings": True}),
    "llama, linear": (
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
    ),
    "mistral": ("MistralConfig", {"sliding_window": 8}),
    "qwen2": ("Qwen2Config", {}),
    "qwen2, sliding": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    ),
    "qwen3": (
        "Qwen3Config",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "attention_bias": True},
    ),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny random model, every parameter away from what it starts as."""

    def make(name: str) -> Path:
        kind, settings = KINDS[name]
        config = getattr(transformers, kind)(**{**SHAPE, **settings})
        torch.manual_seed(0)
        transformers.logging.disable_progress_bar()
        model = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.15 * torch.randn_like(parameter))
        out = tmp_path_factory.mktemp("tiny")
        model.save_pretrained(out)
        return out

    return make


def ask(model: Path) -> list[Witness]:
    reference, witnesses = ask_reference(model, REFERENCES, lambda *_: None)
    assert reference == "transformers"
    return witnesses


def prove(exported: Path, witnesses: list[Witness], precision: str = "fp32") -> float:
    engine = OnnxExporter().open(exported, precision, lambda *_: None)
    worst = check_parity(engine, witnesses, precision, lambda *_: None).worst
    engine.close()
    return worst


@pytest.mark.parametrize("name", KINDS)
def test_equals_transformers(name: str, checkpoint: Any, written: Written) -> None:
    model = checkpoint(name)
    witnesses = ask(model)
    assert len({token for witness in witnesses for token in witness.output}) >= 16
    assert prove(written(model, "fp32"), witnesses) < 3e-5


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_stay_near(precision: str, checkpoint: Any, written: Written) -> None:
    model = checkpoint("llama, biased")
    assert 1e-6 < prove(written(model, precision), ask(model), precision) < 0.1


def change(model: Path, **settings: Any) -> None:
    config = read_json(model / "config.json")
    (model / "config.json").write_text(json.dumps({**config, **settings}))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_lost_rope_theta_closes_the_gate(
    precision: str, checkpoint: Any, written: Written
) -> None:
    """As an older Transformers does, which looks for rope_theta beside rope_parameters."""
    model = checkpoint("qwen3")
    witnesses = ask(model)
    change(model, rope_parameters={"rope_type": "default", "rope_theta": 1e4})
    with pytest.raises(GateClosed, match="case 'alone', prompt 1, after id"):
        prove(written(model, precision), witnesses, precision)


def test_a_dropped_mask_closes_the_gate(checkpoint: Any, written: Written, tmp_path: Path) -> None:
    """Every row takes itself to be as long as the longest: right alone, wrong in a batch."""
    import onnx

    model = checkpoint("qwen3")
    witnesses = ask(model)
    good = written(model, "fp32")
    graph = onnx.load(good / "model.onnx", load_external_data=False)
    total = onnx.helper.make_node("Sub", ["total_sequence_length", "one"], ["last"])
    spread = onnx.helper.make_node("Expand", ["last", "rows"], ["everyone"])
    rows = onnx.helper.make_node("Shape", ["seqlens_k"], ["rows"])
    graph.graph.initializer.append(onnx.helper.make_tensor("one", onnx.TensorProto.INT32, [], [1]))
    for node in graph.graph.node:
        node.input[:] = ["everyone" if name == "seqlens_k" else name for name in node.input]
    for index, node in enumerate((total, rows, spread)):
        graph.graph.node.insert(index, node)
    onnx.save(graph, tmp_path / "model.onnx")
    (tmp_path / "model.weights").hardlink_to(good / "model.weights")
    with pytest.raises(GateClosed, match="case 'ragged batch', prompt"):
        prove(tmp_path, witnesses)


def test_a_window_too_wide_closes_the_gate(checkpoint: Any, written: Written) -> None:
    model = checkpoint("mistral")
    witnesses = ask(model)
    change(model, sliding_window=9)
    with pytest.raises(GateClosed, match="case 'alone', prompt 1, after id 9 of"):
        prove(written(model, "fp32"), witnesses)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "architecture is 'GPT2LMHeadModel'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope is .*'yarn'"),
        ({"head_dim": 24}, "takes no 4 heads of 24 for 2 key-value heads"),
    ],
)
def test_what_the_builder_lacks_is_said(
    settings: dict[str, Any], words: str, checkpoint: Any
) -> None:
    config = {**read_json(checkpoint("qwen3") / "config.json"), **settings}
    with pytest.raises(NotBuilt, match=words):
        read_decoder(config)


def test_a_lost_rope_theta_in_the_config_is_refused(checkpoint: Any) -> None:
    config = read_json(checkpoint("qwen3") / "config.json")
    with pytest.raises(ModelError, match=r"rope_theta in config.json is None"):
        read_decoder({**config, "rope_parameters": None})
    older = {**config, "rope_parameters": None, "rope_theta": 1e6, "rope_scaling": None}
    assert read_decoder(older) == read_decoder(config)


def test_weights_that_do_not_fit_are_named(checkpoint: Any, tmp_path: Path) -> None:
    model = checkpoint("qwen2")
    change(model, architectures=["LlamaForCausalLM"])
    with pytest.raises(ModelError, match=r"no use for 'model.layers.0.self_attn.k_proj.bias'"):
        OnnxExporter().write(model, tmp_path, "fp32", lambda *_: None)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ModelError, match="damaged or cut short"):
        OnnxExporter().write(model, tmp_path, "fp32", lambda *_: None)
