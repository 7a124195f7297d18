"""The door: cheap to import, calm while it loads, and gone when closed."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import transformers

from enginebay_core.api import (
    Backend,
    ModelError,
    StepBatch,
    StepEngine,
    StepRow,
    step_capabilities,
)
from enginebay_transformers import TransformersBackend, TransformersOptions

Call = Callable[..., Any]


def test_importing_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginebay_transformers as e; e.TransformersBackend(); e.TransformersOptions();"
        "print([m for m in ('torch', 'transformers', 'accelerate') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_it_is_a_backend(load: Call) -> None:
    backend: Backend[TransformersOptions] = TransformersBackend()
    engine: StepEngine = load("llama")
    assert backend.options is TransformersOptions
    assert backend.tokenizer == "huggingface"
    assert backend.capabilities(engine) == step_capabilities()


def test_every_option_is_described() -> None:
    fields = TransformersOptions.model_json_schema()["properties"]
    assert all(field.get("description") for field in fields.values())
    assert set(fields) >= {"device", "dtype", "device_map", "max_sequences", "max_length"}


def test_spec_and_facts(load: Call) -> None:
    spec = load("qwen3", max_sequences=3, max_length=100).spec
    assert (spec.vocab_size, spec.max_length, spec.max_sequences) == (256, 100, 3)
    assert spec.kv_bytes_per_token == 3 * 2 * 2 * 16 * 4
    assert spec.kv_bytes == 3 * 100 * spec.kv_bytes_per_token
    assert (spec.kv_grain, spec.rewind, spec.batching) == (1, "any", "mixed")
    assert dict(spec.facts) == {
        "architecture": "Qwen3ForCausalLM",
        "device": "cpu",
        "dtype": "float32",
        "attention": "sdpa",
        "kv": "3 slots of 100 ids",
    }


def test_the_checkpoints_length_is_the_default_and_the_limit(load: Call) -> None:
    assert load("qwen3").spec.context_length == 128
    assert load("gpt2").spec.context_length == 128
    with pytest.raises(ModelError, match="max_length is 129, and the model has 128 positions"):
        load("gpt2", max_length=129)


def test_the_default_length_shrinks_to_what_memory_holds(
    load: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    per_token = load("llama").spec.kv_bytes_per_token
    monkeypatch.setattr("enginebay_transformers.kv_room.SHORTEST", 16)
    monkeypatch.setattr(
        "enginebay_transformers.kv_room.free_memory", lambda _device: 2 * 8 * 51 * per_token
    )
    spec = load("llama", max_sequences=8).spec
    assert (spec.max_length, spec.context_length) == (50, 50)
    assert "holds 50 of the model's 128 ids for each of 8 sequences" in caplog.text
    with pytest.raises(ModelError, match=r"8 sequences of 51 ids does not fit.* holds 50 ids each"):
        load("llama", max_length=51)
    assert load("llama", max_length=100, max_sequences=4).spec.max_length == 100
    with pytest.raises(ModelError, match="does not fit"):
        load("llama", max_sequences=40)


def test_progress_has_stages_and_counts(checkpoint: Call) -> None:
    calls: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        calls.append((stage, done, total))

    TransformersBackend().load(
        checkpoint("llama"), TransformersOptions(device="cpu"), progress
    ).close()
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == [
        "importing torch and transformers",
        "reading weights",
        "loading weights",
        "checking the model",
    ]
    weights = [(done, total) for stage, done, total in calls if stage == "loading weights"]
    assert weights == [(i + 1, len(weights)) for i in range(len(weights))]


def test_loading_is_silent_offline_and_leaves_the_log_level(
    load: Call, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    verbosity = transformers.logging.get_verbosity()
    load("qwen3_moe", max_length=100)
    load("mamba", max_length=100)
    assert capfd.readouterr() == ("", "")
    assert transformers.logging.get_verbosity() == verbosity


@pytest.mark.parametrize("name", ["llama", "mamba"])
def test_close_gives_everything_back(name: str, checkpoint: Call) -> None:
    engine: Any = TransformersBackend().load(
        checkpoint(name), TransformersOptions(device="cpu"), lambda *_: None
    )
    logits = engine.forward(StepBatch((), (StepRow(0, 0, (1, 2, 3)),)))
    model = engine._model.model
    held = [weakref.ref(model), weakref.ref(next(model.parameters())), weakref.ref(logits)]
    held += [weakref.ref(layer.keys) for layer in getattr(engine._cache, "slot_layers", ())]
    del model, logits
    engine.close()
    assert [each() for each in held] == [None] * len(held)


def test_a_failed_load_holds_nothing(load: Call, checkpoint: Call) -> None:
    def count_models() -> int:
        gc.collect()
        return sum(type(each).__name__ == "LlamaForCausalLM" for each in gc.get_objects())

    before = count_models()
    with pytest.raises(ModelError) as kept:
        load("llama", max_length=129)
    assert count_models() == before
    assert kept.value.__traceback__ is not None  # which would hold what its frames hold


def test_a_device_map_places_the_layers(lab: Any) -> None:
    engine = lab.load("llama", device="auto", device_map={"": "cpu"})
    assert engine.spec.facts["device"] == "cpu"
    assert lab.run(engine, [lab.job(lab.prompts[1])]) == [lab.reference("llama").outputs[1]]
