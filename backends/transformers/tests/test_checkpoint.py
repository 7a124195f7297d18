"""Each way in which a checkpoint can be wrong gives one ModelError, and prints nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from enginebay_core.api import ModelError
from enginebay_transformers import TransformersBackend, TransformersOptions
from enginebay_transformers.checkpoint import Checkpoint


@pytest.fixture
def copy(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Qwen3 (tied embeddings) that a test may spoil."""
    return Path(shutil.copytree(checkpoint("qwen3"), tmp_path / "model"))


def change_config(model: Path, **changes: Any) -> None:
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def remove(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda model: [(model / name).write_text(text)].clear()


def cut_weights(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def cut_header(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:50])


def lose_a_shard(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-1.safetensors")
    weight_map = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def lose_weights(model: Path) -> None:
    path = model / "model.safetensors"
    tensors = {name: t for name, t in load_file(path).items() if "layers.1.mlp" not in name}
    save_file(tensors, path, metadata={"format": "pt"})


def reshape_a_weight(model: Path) -> None:
    path = model / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.zeros(32)
    save_file(tensors, path, metadata={"format": "pt"})


def pickled_garbage(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"not a pickle")


def own_code(model: Path) -> None:
    change_config(model, model_type="mine", auto_map={"AutoModelForCausalLM": "code.Mine"})


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "no directory": (shutil.rmtree, "there is no directory"),
    "no config": (remove("config.json"), "has no config.json"),
    "config is not JSON": (write("config.json", "{"), "not readable JSON"),
    "config is a list": (write("config.json", "[]"), "not a JSON object"),
    "config of something else": (write("config.json", "{}"), "does not say its model_type"),
    "no weights": (remove("model.safetensors"), "and no weights"),
    "weights cut short": (cut_weights, "is truncated"),
    "header cut short": (cut_header, "is truncated"),
    "weights are text": (write("model.safetensors", "a" * 99), "is truncated"),
    "weights are no pickle": (pickled_garbage, "damaged or holds more than tensors"),
    "a shard is missing": (lose_a_shard, r"lacks 1 of 2 weight files, .* 'model-2.safetensors'"),
    "weights are missing": (lose_weights, r"'model.layers.1.mlp.down_proj.weight', .*gate_proj"),
    "more layers than weights": (
        lambda model: change_config(model, num_hidden_layers=4, layer_types=None),
        "lacks weights .* and 8 more",
    ),
    "a weight of another shape": (
        reshape_a_weight,
        r"1 weights of other shapes .* 'model.norm.weight': \(32,\) instead of \(64,\)",
    ),
    "unknown architecture": (
        lambda model: change_config(model, model_type="starfish"),
        "is a 'starfish' model, which transformers .* does not know",
    ),
    "code of its own": (own_code, "options.trust_remote_code = true"),
    "an encoder-decoder": (
        lambda model: change_config(model, model_type="t5"),
        "is an encoder-decoder",
    ),
    "no language model": (
        lambda model: change_config(model, model_type="vit"),
        "is a 'vit' model, .* no causal language model",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_one_clear_error(fault: str, copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, message = WRONG[fault]
    spoil(copy)
    with pytest.raises(ModelError, match=message) as caught:
        TransformersBackend().load(copy, TransformersOptions(device="cpu"), lambda *_: None)
    assert str(copy) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")


REMOTE_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM
class Config(LlamaConfig):
    model_type = "mine"
class Mine(LlamaForCausalLM):
    config_class = Config
"""


def test_code_beside_the_weights_runs_when_trusted(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", tmp_path / "code")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    model = Path(shutil.copytree(checkpoint("llama"), tmp_path / "mine"))
    (model / "code.py").write_text(REMOTE_CODE)
    auto_map = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Mine"}
    change_config(model, model_type="mine", auto_map=auto_map)
    options = TransformersOptions(device="cpu", trust_remote_code=True)
    engine: Any = TransformersBackend().load(model, options, lambda *_: None)
    assert engine.spec.facts["architecture"] == "Mine"
    assert engine.spec.max_sequences == 8
    engine.close()


def test_weights_are_read_for_their_dtype(copy: Path) -> None:
    assert Checkpoint.open(copy).weights_dtype == "F32"
    path = copy / "model.safetensors"
    save_file({name: t.bfloat16() for name, t in load_file(path).items()}, path)
    assert Checkpoint.open(copy).weights_dtype == "BF16"


def test_shards_are_found(copy: Path) -> None:
    lose_a_shard(copy)
    save_file({"b": torch.zeros(3)}, copy / "model-2.safetensors")
    assert Checkpoint.open(copy).weights_dtype == "F32"
