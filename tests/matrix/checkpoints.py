"""Tiny random models of several architectures, as Transformers saves them, which speak through the
bundled model's tokenizer.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from enginebay_core.plugins import resolve_model

SPEECH: Final = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SPREAD: Final = 0.2
"""Of random weights: enough that greedy texts are varied and their margins wide."""

SHAPE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
    }
)
GPT2: Final = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512}
MOE: Final = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
ALTERNATING: Final = {
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
ROPE: Final = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}

ARCHITECTURES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        "llama": ("LlamaConfig", {**SHAPE, **ROPE}),
        "qwen2": ("Qwen2Config", SHAPE),
        "qwen3": ("Qwen3Config", {**SHAPE, **ROPE, "tie_word_embeddings": True}),
        "mistral": ("MistralConfig", {**SHAPE, "sliding_window": 8}),
        "gemma3": ("Gemma3TextConfig", {**SHAPE, **ALTERNATING}),
        "gpt2": ("GPT2Config", GPT2),
        "qwen3_moe": ("Qwen3MoeConfig", {**SHAPE, **MOE}),
    }
)
"""By the name that the page has, with the class of Transformers' config."""


def make(name: str, folder: Path) -> Path:
    """The same weights every time."""
    import torch
    import transformers

    bundled = resolve_model("pocket", lambda *_: None)
    kind, settings = ARCHITECTURES[name]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # theirs
    config = getattr(transformers, kind)(**settings, **speech(bundled), initializer_range=SPREAD)
    torch.manual_seed(0)
    model: Any = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # theirs
    model.save_pretrained(folder / name)
    for file in SPEECH:
        shutil.copy(bundled / file, folder / name)
    return folder / name


def speech(bundled: Path) -> dict[str, Any]:
    """What ties a model to the tokenizer."""
    import transformers

    theirs = transformers.AutoConfig.from_pretrained(bundled)
    names = ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(theirs, name) for name in names}
