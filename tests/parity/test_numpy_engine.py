"""The numpy engine against Transformers' own Qwen3, in float32."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from enginebay_core.api import StepBatch, StepEngine, StepRow
from enginebay_numpy import NumpyBackend, NumpyOptions

SHAPES: dict[str, dict[str, Any]] = {
    "grouped, tied": {},
    "every head its own, untied": {"num_key_value_heads": 4, "tie_word_embeddings": False},
    "one key-value head, wide heads": {"num_key_value_heads": 1, "head_dim": 32},
    "another rope": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
}


def make(shape: dict[str, Any], folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Random weights ten times as wide as usual, so that greedy text varies."""
    base: dict[str, Any] = {
        "vocab_size": 211,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
    }
    torch.manual_seed(20)
    model: Any = Qwen3ForCausalLM(Qwen3Config(**{**base, **shape}))
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(weight, 1.0, 0.3)
    model.to(dtype).save_pretrained(folder)
    return folder


def load_both(folder: Path) -> tuple[StepEngine, Any]:
    """Transformers' side is Any: its mixins have types that do not fit its own classes."""
    reference = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return NumpyBackend().load(folder, NumpyOptions(), lambda *_: None), reference


def compare_logits(folder: Path, length: int) -> float:
    engine, reference = load_both(folder)
    ids = tuple(np.random.default_rng(1).integers(0, engine.spec.vocab_size, length).tolist())
    with torch.no_grad():
        expected = reference(torch.tensor([ids])).logits[0].numpy()
    engine.forward(StepBatch((), (StepRow(1, 0, ids[:100], "none"),)))
    rows = StepRow(0, 0, ids, "all"), StepRow(1, 100, ids[100:], "all")
    logits = engine.forward(StepBatch((), rows))
    return float(abs(logits - np.concatenate([expected, expected[100:]])).max())


def greedy(engine: StepEngine, prompt: tuple[int, ...], count: int) -> list[int]:
    ids, start, output = prompt, 0, list[int]()
    for _ in range(count):
        logits = engine.forward(StepBatch((), (StepRow(0, start, ids),)))
        start, ids = start + len(ids), (int(logits[0].argmax()),)
        output += ids
    return output


def reference_greedy(reference: Any, prompt: tuple[int, ...], count: int) -> list[int]:
    inputs = torch.tensor([prompt])
    generated = reference.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=False,
        max_new_tokens=count,
        min_new_tokens=count,
        pad_token_id=0,
    )
    return [int(token) for token in generated[0, len(prompt) :]]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_logits_equal_transformers(shape: dict[str, Any], tmp_path: Path) -> None:
    assert compare_logits(make(shape, tmp_path), 300) < 1e-4


def test_bfloat16_checkpoint_equals_transformers_in_float32(tmp_path: Path) -> None:
    assert compare_logits(make({}, tmp_path, torch.bfloat16), 120) < 1e-4


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_greedy_ids_equal_generate(shape: dict[str, Any], tmp_path: Path) -> None:
    engine, reference = load_both(make(shape, tmp_path))
    prompt = (5, 17, 3, 99, 140)
    expected = reference_greedy(reference, prompt, 48)
    assert len(set(expected)) >= 8
    assert greedy(engine, prompt, 48) == expected


@pytest.mark.skipif(find_spec("enginebay_pocket") is None, reason="enginebay-pocket not installed")
def test_the_bundled_model_equals_transformers() -> None:
    from enginebay_pocket import model

    folder = model()
    assert compare_logits(folder, 300) < 1e-3
    engine, reference = load_both(folder)
    prompt = tuple(range(200, 240))
    assert greedy(engine, prompt, 64) == reference_greedy(reference, prompt, 64)
