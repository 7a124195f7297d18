"""A config of Transformers 5 in the words of 4.57: translated, known, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from enginebay_core.api import ModelError
from enginebay_optimum.downgrade import (
    check_read,
    is_newer,
    read_config,
    translate,
    translate_rope,
)
from enginebay_optimum.torch_model import check_rope, check_weights

KNOWN = {"rope_theta", "rope_scaling", "hidden_size", "layer_types", "partial_rotary_factor"}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}


def test_the_base_of_the_rotary_embedding_is_carried_over() -> None:
    config = {"hidden_size": 8, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}
    assert translate(config, KNOWN) == {"hidden_size": 8, "rope_theta": 1e6, "rope_scaling": None}
    assert translate_rope(LLAMA3) == {
        "rope_theta": 5e5,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0},
    }
    partial = {"rope_theta": 1e4, "partial_rotary_factor": 0.5}
    assert translate_rope(partial)["partial_rotary_factor"] == 0.5


def test_a_config_that_knows_no_scaling_is_told_of_none() -> None:
    config = {"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}
    assert translate(config, {"rope_theta"}) == {"rope_theta": 1e6}
    with pytest.raises(ModelError, match=r"rope_scaling = .'rope_type': 'llama3'"):
        translate({"rope_parameters": LLAMA3}, {"rope_theta"})


def test_what_decides_nothing_is_left_out() -> None:
    config = {"dtype": "bfloat16", "transformers_version": "5.1.0", "auto_map": {}}
    assert translate(config, KNOWN) == {}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"attention_sinks": 4}, r"attention_sinks = 4, which Transformers 4.57 does not know"),
        ({"rope_parameters": {"rope_type": "default"}}, "rope_theta in config.json is None"),
        ({"rope_parameters": {"rope_theta": 0}}, "rope_theta in config.json is 0"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "each kind of layer"),
        ({"rope_parameters": {"rope_theta": 1.0, "factor": 2}}, r"'default' has \['factor'\]"),
    ],
)
def test_what_would_be_lost_is_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        translate(config, KNOWN)


@pytest.mark.parametrize(
    ("config", "newer"),
    [
        ({"transformers_version": "5.23.0"}, True),
        ({"rope_parameters": {}}, True),
        ({"transformers_version": "4.57.6"}, False),
        ({}, False),
    ],
)
def test_only_newer_checkpoints_are_converted(config: dict[str, Any], newer: bool) -> None:
    assert is_newer(config) is newer


def test_what_was_read_must_be_what_was_written() -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0}
    written = {"hidden_size": 8, "rope_scaling": scaling, "dtype": "float16"}
    read = SimpleNamespace(hidden_size=8, rope_scaling={**scaling, "type": "llama3"})
    check_read(written, read)
    read.hidden_size = 16
    with pytest.raises(ModelError, match=r"hidden_size .* is 8, and Transformers 4.57 reads 16"):
        check_read(written, read)
    with pytest.raises(ModelError, match="rope_theta"):
        check_read({"rope_theta": 1e6}, read)


def test_weights_without_a_place_are_named() -> None:
    check_weights({"missing_keys": [], "unexpected_keys": set()})
    with pytest.raises(ModelError, match=r"missing keys: lm_head\.weight"):
        check_weights({"missing_keys": ["lm_head.weight"]})


def test_frequencies_must_follow_from_the_base() -> None:
    import torch

    model: Any = torch.nn.Module()
    turns = 1e6 ** -(np.arange(16) / 16)
    model.register_buffer("inv_freq", torch.tensor(turns, dtype=torch.float32))
    check_rope(model, {"rope_theta": 1e6})
    check_rope(model, {"rope_theta": 1e4, "rope_scaling": {"rope_type": "yarn"}})
    with pytest.raises(ModelError, match=r"inv_freq does not follow from rope_theta 10000.0"):
        check_rope(model, {"rope_theta": 1e4})


def test_a_config_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        read_config(tmp_path)
    for text, reason in (("{", "not JSON"), (json.dumps([]), "not a JSON object")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ModelError, match=reason):
            read_config(tmp_path)
