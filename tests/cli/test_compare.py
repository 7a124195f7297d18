"""`enginebay compare` on real engines: what is the same, what is rounding, and planted faults."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ENGINEBAY, Done, environment

from enginebay_core.api import EngineBayError
from enginebay_core.environments import interpreter_of
from enginebay_pocket import model as pocket

Compare = Callable[..., Done]

QUESTIONS = [
    "你好!请介绍一下你自己。",
    "What is EngineBay?",
    json.dumps(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": "Hello! How can I help?"},
            {"role": "user", "content": "Name three colours."},
        ]
    ),
]
LONG = "Read this first. " + "What is it, who made it, and how does one run it? " * 6
needs = {
    name: pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")
    for name, module in (("onnx", "onnxruntime"), ("openvino", "openvino_genai"))
}


@pytest.fixture
def compare(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Compare:
    """``compare("a", "b", a={…}, b={…})``: on a few questions, `--json`, to its end. Exports are
    kept for the tests that follow.
    """
    cache = tmp_path_factory.getbasetemp() / "exports"
    questions = tmp_path / "questions.txt"
    questions.write_text("\n".join([*QUESTIONS, LONG]))

    def run(*arguments: str, **models: Mapping[str, str]) -> Done:
        config = [f"[models.{name}]\n{table_of(said)}" for name, said in models.items()]
        (tmp_path / "enginebay.toml").write_text("\n".join(config))
        child = subprocess.run(
            [*ENGINEBAY, "compare", *arguments, "--prompts", str(questions), "--json"],
            cwd=tmp_path,
            env=environment(XDG_CACHE_HOME=str(cache)),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        return Done(child.returncode, child.stdout, child.stderr)

    return run


def table_of(said: Mapping[str, str]) -> str:
    """``backend``, ``model`` and ``placement`` are a model's, all else its options."""
    own = {key: said[key] for key in ("backend", "model", "placement") if key in said}
    options = {f"options.{key}": value for key, value in said.items() if key not in own}
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in {**own, **options}.items())


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random model of pocket's vocabulary, never sure of anything: ties are common."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    directory = tmp_path_factory.mktemp("flat")
    torch.manual_seed(20)
    model: Any = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=4096,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            initializer_range=0.2,
            eos_token_id=4089,
        )
    )
    model.save_pretrained(directory)
    for file in pocket().glob("*token*"):
        shutil.copy(file, directory)
    for file in pocket().glob("*.jinja"):
        shutil.copy(file, directory)
    return str(directory)


def test_the_reference_can_take_the_place_of_the_small_engine(
    compare: Compare, tmp_path: Path
) -> None:
    backends = ("numpy", "transformers", "--model", "pocket", "--max-tokens", "16")
    done = compare(*backends, "--option-b", "dtype=float32", "--picture", "swap.svg")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["counts"] == {"same": 4, "rounding": 0, "real": 0, "unclear": 0, "refused": 0}
    assert all(row["same_prompt"] for row in said["questions"])
    assert all(row["a"] == row["b"] for row in said["questions"])
    assert 0 < said["drift"]["worst"] < said["tolerance"]
    assert said["drift"]["places"] >= 4 * 16
    assert said["speed"] > 0
    assert "swap.svg" in {path.name for path in tmp_path.iterdir()}


def test_bfloat16_parts_from_float32_near_ties(compare: Compare, flat: str) -> None:
    f32 = {"backend": "numpy", "model": flat, "placement": "inline"}
    bf16 = {"backend": "transformers", "model": flat, "dtype": "bfloat16"}
    done = compare("f32", "bf16", "--max-tokens", "32", f32=f32, bf16=bf16)
    assert done.code == 0, done.err + done.out
    said = json.loads(done.out)
    assert said["counts"]["rounding"] >= 1
    assert said["counts"]["rounding"] + said["counts"]["same"] == 4
    for row in said["questions"]:
        assert row["drift"]["places"] == len(row["a"]["ids"])
        if row["parted"]:
            assert 0 <= row["parted"]["margin"] < 2 * said["tolerance"]


def test_a_lost_rope_base_is_real(compare: Compare, tmp_path: Path) -> None:
    """As where a checkpoint of Transformers 5 is read by 4.57: no error, fluent text, wrong."""
    lost = tmp_path / "lost"
    shutil.copytree(pocket(), lost)
    config = json.loads((lost / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 1e6
    (lost / "config.json").write_text(json.dumps(config))
    models = {"good": {"backend": "numpy", "model": "pocket"}}
    models["lost"] = {"backend": "numpy", "model": str(lost)}
    done = compare("good", "lost", "--max-tokens", "24", **models)
    assert done.code == 1, done.err
    said = json.loads(done.out)
    assert said["counts"]["real"] == 4
    assert said["objections"] == ["4 of 4 answers differ by more than rounding (0 would do)"]
    assert said["drift"]["worst"] > 100 * said["tolerance"]


@needs["onnx"]
def test_eight_bits_are_near_ties_and_no_float32(compare: Compare, flat: str) -> None:
    models = {"f32": {"backend": "numpy", "model": flat}}
    models["int8"] = {"backend": "onnx", "model": flat, "precision": "int8"}
    done = compare("f32", "int8", "--max-tokens", "24", **models)
    assert done.code == 0, done.err + done.out
    said = json.loads(done.out)
    assert said["b"]["precision"] == "int8"
    assert said["counts"]["rounding"] >= 1
    assert said["counts"]["real"] == 0
    done = compare("f32", "int8", "--max-tokens", "24", "--tolerance", "0.001", **models)
    assert done.code == 1, done.err
    assert json.loads(done.out)["counts"]["real"] == 4


@needs["openvino"]
def test_an_engine_with_a_scheduler_of_its_own_is_judged_alike(compare: Compare) -> None:
    done = compare("numpy", "openvino", "--model", "pocket", "--max-tokens", "16")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["counts"]["same"] == 4
    assert said["drift"]["worst"] < said["tolerance"]


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_a_backend_in_an_environment_of_its_own(compare: Compare) -> None:
    if find_spec("enginebay_optimum") is None:
        pytest.skip("enginebay-optimum is not installed; `make setup` installs it")
    try:
        interpreter_of("optimum", "the comparison")
    except EngineBayError as error:
        pytest.skip(str(error))
    done = compare("numpy", "optimum", "--model", "pocket", "--max-tokens", "16")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["counts"]["same"] == 4
    assert said["drift"]["worst"] < said["tolerance"]
