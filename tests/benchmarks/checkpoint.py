"""Checkpoints made on the spot: a real model's shape, random weights, no stop token."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.pieces import PATTERN, ROLES, UNKNOWN, piece

VERSION: Final = 1
"""Of what is written here; another one is made anew."""


@dataclass(frozen=True)
class Shape:
    """A Qwen3 in bfloat16."""

    name: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int = 151_936
    max_position_embeddings: int = 40_960
    tie_word_embeddings: bool = True


SMALL: Final = Shape("qwen3-0.6b", 1024, 3072, 28, 16, 8, 128)
LARGE: Final = Shape("qwen3-4b", 2560, 9728, 36, 32, 8, 128)
TINY: Final = replace(
    SMALL, name="tiny", hidden_size=256, intermediate_size=512, num_hidden_layers=2, head_dim=32
)
SHAPES: Final = {shape.name: shape for shape in (SMALL, LARGE, TINY)}

TEMPLATE: Final = (
    "{% for message in messages %}{{ roles[message.role] }}{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ roles.assistant }}{% endif %}"
)


def make_checkpoint(shape: Shape, root: Path, device: str = "cpu") -> Path:
    """The directory of ``shape`` under ``root``; made only where it is not there yet."""
    directory = root / shape.name
    wanted = {"version": VERSION, **asdict(shape)}
    stamp = directory / "benchmark.json"
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _write_tokenizer(shape, directory)
    _write_model(shape, directory, device)
    stamp.write_text(json.dumps(wanted))
    return directory


def weight_bytes(directory: Path) -> int:
    """Bytes that a step reads at least: all weights once. Tied embeddings are there once."""
    return sum(file.stat().st_size for file in directory.glob("*.safetensors"))


def _write_model(shape: Shape, directory: Path, device: str) -> None:
    """The unknown id's row is zero, so that its logit is never the highest."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    sizes = {key: value for key, value in asdict(shape).items() if key != "name"}
    config = Qwen3Config(
        **sizes, bos_token_id=None, eos_token_id=None, pad_token_id=None, dtype="bfloat16"
    )
    torch.manual_seed(0)
    with torch.device(device):
        model: Any = Qwen3ForCausalLM(config)
    model = model.to(torch.bfloat16)
    with torch.no_grad():
        model.get_output_embeddings().weight[UNKNOWN] = 0
    model.generation_config.eos_token_id = None
    model.save_pretrained(directory)


def _write_tokenizer(shape: Shape, directory: Path) -> None:
    """``tokenizer.json`` for the tokenizers library, and what AutoTokenizer asks for beside it."""
    vocabulary = {piece(token): token for token in range(shape.vocab_size)}
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated"}
    whole: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {**split, "invert": False},
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": piece(UNKNOWN)},
    }
    (directory / "tokenizer.json").write_text(json.dumps(whole))
    roles = ", ".join(f"'{role}': '{piece(token)}'" for role, token in ROLES.items())
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.max_position_embeddings,
        "chat_template": "{% set roles = {" + roles + "} %}" + TEMPLATE,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
