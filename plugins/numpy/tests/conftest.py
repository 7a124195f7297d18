"""Tiny random Qwen3 checkpoints, written without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from enginebay_numpy import NumpyBackend, NumpyOptions
from enginebay_numpy.engine import NumpyEngine

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]

CONFIG: Mapping[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "head_dim": 8,
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 48,
    "layer_types": ["full_attention", "full_attention"],
    "max_position_embeddings": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "vocab_size": 97,
}


def shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    named: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        named |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (heads, hidden),
            f"{prefix}self_attn.k_proj.weight": (kv_heads, hidden),
            f"{prefix}self_attn.v_proj.weight": (kv_heads, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, heads),
            f"{prefix}self_attn.q_norm.weight": (size,),
            f"{prefix}self_attn.k_norm.weight": (size,),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    return named


def random_tensors(config: Mapping[str, Any]) -> Arrays:
    """Norms around 1, matrices wide enough that attention matters."""
    draw = np.random.default_rng(7)
    return {
        name: (draw.normal(len(shape) == 1, 0.3, shape)).astype(np.float32)
        for name, shape in shapes(config).items()
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The directory of a float32 checkpoint, for the test to change as it likes."""
    save_file(random_tensors(CONFIG), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.fixture
def engine(checkpoint: Path) -> NumpyEngine:
    loaded = NumpyBackend().load(checkpoint, NumpyOptions(max_sequences=4), lambda *_: None)
    assert isinstance(loaded, NumpyEngine)
    return loaded
