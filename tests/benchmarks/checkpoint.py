"""Checkpoints made on the spot: a real model's shape, random weights, no stop token.

A program of its own, ``-m tests.benchmarks.checkpoint SHAPE ROOT DEVICE``, so that the memory that
making one takes is given back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.pieces import PATTERN, ROLES, UNKNOWN, piece

VERSION: Final = 3
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

_STAMP: Final = "benchmark.json"

RESPONSE: Final = {
    "start_anchor": piece(ROLES["assistant"]),
    "defaults": {"role": "assistant"},
    "fields": {"content": {"content": "text"}},
}
"""All is content: ``transformers serve`` would look for Qwen3's tags, and with none in the prompt
takes the prompt for a part of the answer.
"""


def have_checkpoint(shape: Shape, root: Path, device: str) -> Path:
    """The directory of ``shape`` under ``root``; made only where it is not there yet."""
    directory = root / shape.name
    stamp = directory / _STAMP
    if not stamp.exists() or json.loads(stamp.read_text()) != _facts(shape):
        print(f"making a checkpoint in the shape of {shape.name} in {directory}", flush=True)
        command = [sys.executable, "-m", __spec__.name, shape.name, str(root), device]
        subprocess.run(command, check=True)
    return directory


def make_checkpoint(shape: Shape, root: Path, device: str) -> None:
    directory = root / shape.name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_tokenizer(shape, directory)
    _write_model(shape, directory, device)
    (directory / _STAMP).write_text(json.dumps(_facts(shape)))


def weight_bytes(directory: Path) -> int:
    """Bytes that a step reads at least: all weights once. Tied embeddings are there once."""
    return sum(file.stat().st_size for file in directory.glob("*.safetensors"))


def _facts(shape: Shape) -> dict[str, Any]:
    return {"version": VERSION, **asdict(shape)}


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


def write_tokenizer(shape: Shape, directory: Path) -> None:
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
        "response_template": RESPONSE,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    make_checkpoint(SHAPES[sys.argv[1]], Path(sys.argv[2]), sys.argv[3])
