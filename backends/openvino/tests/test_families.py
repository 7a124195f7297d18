"""Each family of decoders that can be exported, proved by Transformers through the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import ModelError
from enginebay_core.export import GateClosed, export_model, read_json
from enginebay_core.export.gate import check_parity
from enginebay_core.export.reference import ask_reference
from enginebay_core.export.witness import Witness
from enginebay_openvino.exporter import REFERENCES, OpenVinoExporter

ov = pytest.importorskip("openvino", reason="OpenVINO is not installed: backends/openvino[runtime]")
torch = pytest.importorskip("torch", reason="torch is not installed: backends/transformers")
transformers = pytest.importorskip("transformers")

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
    "llama, every head": ("LlamaConfig", {"num_key_value_heads": 4}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": (
        "Qwen3Config",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "attention_bias": True},
    ),
}


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


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
    reference, witnesses = ask_reference(model, REFERENCES, quiet)
    assert reference == "transformers"
    return witnesses


def write(model: Path, out: Path, precision: str = "f32") -> Path:
    OpenVinoExporter().write(model, out, precision, quiet)
    (out / "config.json").write_bytes((model / "config.json").read_bytes())
    return out


def prove(exported: Path, witnesses: list[Witness], precision: str = "f32") -> float:
    engine = OpenVinoExporter().open(exported, precision, quiet)
    try:
        return check_parity(engine, witnesses, precision, quiet).worst
    finally:
        engine.close()


def change(model: Path, **settings: Any) -> None:
    config = read_json(model / "config.json")
    (model / "config.json").write_text(json.dumps({**config, **settings}))


@pytest.mark.parametrize("name", KINDS)
def test_equals_transformers(name: str, checkpoint: Any, tmp_path: Path) -> None:
    model = checkpoint(name)
    witnesses = ask(model)
    assert len({token for witness in witnesses for token in witness.output}) >= 16
    assert prove(write(model, tmp_path), witnesses) < 3e-5


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_stay_near(precision: str, checkpoint: Any, tmp_path: Path) -> None:
    model = checkpoint("llama, biased")
    assert prove(write(model, tmp_path, precision), ask(model), precision) > 1e-5


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_a_lost_rope_theta_closes_the_gate(precision: str, checkpoint: Any, tmp_path: Path) -> None:
    """As an older Transformers does, which looks for rope_theta beside rope_parameters."""
    model = checkpoint("qwen3")
    witnesses = ask(model)
    change(model, rope_parameters={"rope_type": "default", "rope_theta": 1e4})
    with pytest.raises(GateClosed, match="case 'alone', prompt 1, after id"):
        prove(write(model, tmp_path, precision), witnesses, precision)


def test_a_dropped_mask_closes_the_gate(checkpoint: Any, tmp_path: Path) -> None:
    """Every column counts as an id: right alone, wrong beside longer texts."""
    model = checkpoint("qwen3")
    witnesses = ask(model)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    graph = ov.Core().read_model(write(model, good) / "openvino_model.xml")
    (compared,) = (node for node in graph.get_ops() if node.get_type_name() == "NotEqual")
    ones = ov.opset13.equal(compared.input_value(0), compared.input_value(0))
    for reader in list(compared.output(0).get_target_inputs()):
        reader.replace_source_output(ones.output(0))
    ov.save_model(graph, bad / "openvino_model.xml", compress_to_fp16=False)
    (bad / "config.json").write_bytes((model / "config.json").read_bytes())
    with pytest.raises(GateClosed, match=r"case '.*', prompt"):
        prove(bad, witnesses)


def test_other_architectures_are_refused_by_name(checkpoint: Any, tmp_path: Path) -> None:
    model = checkpoint("qwen3")
    change(model, architectures=["GPT2LMHeadModel"])
    with pytest.raises(ModelError, match=r"cannot be exported to OpenVINO: .*'GPT2LMHeadModel'"):
        export_model(model, "openvino", tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()
