"""The environment, where it is made, and tiny checkpoints as Transformers 5 saves them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import EngineBayError
from enginebay_core.environments import interpreter_of
from enginebay_core.plugins import resolve_model

Save = Callable[..., Path]

SHAPE: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}
"""Heads wider than hidden_size / heads, and a base that is not the default."""


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.fixture(scope="session")
def python() -> str:
    """The environment's; skips where it is not made."""
    try:
        return interpreter_of("optimum", "this test")
    except EngineBayError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def pocket() -> Path:
    return resolve_model("pocket", quiet)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Exports go to a cache of the test run's own."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        yield shared / "cache"


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """``save("Qwen3Config", rope_parameters=...)``: a tiny random checkpoint, saved by Transformers
    5.
    """

    def make(kind: str = "Qwen3Config", **changed: Any) -> Path:
        import torch
        import transformers

        theirs: Any = transformers
        theirs.logging.disable_progress_bar()
        torch.manual_seed(0)
        config = getattr(theirs, kind)(**{**SHAPE, **changed})
        out = tmp_path_factory.mktemp("tiny")
        theirs.AutoModelForCausalLM.from_config(config).save_pretrained(out)
        return out

    return make
