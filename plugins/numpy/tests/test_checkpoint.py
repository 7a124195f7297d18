"""What loads, and what is refused with which words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from enginebay_core.api import ModelError, StepBatch, StepEngine, StepRow
from enginebay_numpy import NumpyBackend, NumpyOptions
from enginebay_numpy.checkpoint import Floats

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]
IDS = tuple(range(40, 60))
MODEL, CONFIG, INDEX = "model.safetensors", "config.json", "model.safetensors.index.json"


def load(model: Path, options: NumpyOptions | None = None) -> StepEngine:
    return NumpyBackend().load(model, options or NumpyOptions(), lambda *_: None)


def logits(model: Path) -> Floats:
    result: Floats = load(model).forward(StepBatch((), (StepRow(0, 0, IDS, "all"),)))
    return result


def refusal(model: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(model)
    return str(caught.value)


def edit_config(model: Path, *remove: str, **changes: Any) -> None:
    config = {**json.loads((model / CONFIG).read_text()), **changes}
    kept = {name: value for name, value in config.items() if name not in remove}
    (model / CONFIG).write_text(json.dumps(kept))


def edit_tensors(model: Path, *remove: str, **changes: np.ndarray[Any, Any]) -> None:
    tensors: Arrays = {**load_file(model / MODEL), **changes}
    save_file({name: tensors[name] for name in tensors if name not in remove}, model / MODEL)


def save_bfloat16(tensors: Mapping[str, np.ndarray[Any, Any]], file: Path) -> None:
    """By hand, after the format's description: numpy has no bfloat16."""
    header, blob = {}, b""
    for name, array in tensors.items():
        data = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
        offsets = [len(blob), len(blob) + len(data)]
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": offsets}
        blob += data
    head = json.dumps(header).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + blob)


def test_half_precision_files_hold_the_same_model(checkpoint: Path) -> None:
    short = {  # values with 8 significant bits fit both half types
        name: (array.view(np.uint32) & 0xFFFF0000).view(np.float32)
        for name, array in load_file(checkpoint / MODEL).items()
    }
    save_file(short, checkpoint / MODEL)
    expected = logits(checkpoint)
    save_bfloat16(short, checkpoint / MODEL)
    assert np.array_equal(logits(checkpoint), expected)
    halves = {name: array.astype(np.float16) for name, array in short.items()}
    save_file(halves, checkpoint / MODEL)
    assert abs(logits(checkpoint) - expected).max() < 1e-3  # the smallest lose a bit or two


def test_shards_hold_the_same_model(checkpoint: Path) -> None:
    expected, tensors = logits(checkpoint), load_file(checkpoint / MODEL)
    files = {name: f"model-{number % 3}.safetensors" for number, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file(
            {name: tensors[name] for name in tensors if files[name] == file}, checkpoint / file
        )
    (checkpoint / MODEL).unlink()
    (checkpoint / INDEX).write_text(json.dumps({"weight_map": files}))
    assert np.array_equal(logits(checkpoint), expected)
    (checkpoint / "model-1.safetensors").unlink()
    assert "model-1.safetensors is missing" in refusal(checkpoint)


def test_an_untied_head_is_used(checkpoint: Path) -> None:
    expected = logits(checkpoint)
    embedding = load_file(checkpoint / MODEL)["model.embed_tokens.weight"]
    edit_tensors(checkpoint, **{"lm_head.weight": -embedding})
    assert np.array_equal(logits(checkpoint), expected)  # tied: the copy in the file does not count
    edit_config(checkpoint, tie_word_embeddings=False)
    assert abs(logits(checkpoint) + expected).max() < 1e-4


def test_rope_theta_of_both_spellings(checkpoint: Path) -> None:
    default = logits(checkpoint)
    edit_config(checkpoint, rope_parameters={"rope_theta": 500.0, "rope_type": "default"})
    expected = logits(checkpoint)
    assert abs(expected - default).max() > 0.01
    edit_config(checkpoint, "rope_parameters", rope_theta=500.0, rope_scaling=None)
    assert np.array_equal(logits(checkpoint), expected)
    edit_config(checkpoint, "rope_theta")
    assert "rope_theta in config.json is None" in refusal(checkpoint)


def test_another_architecture_is_named_with_the_backend_to_use(checkpoint: Path) -> None:
    edit_config(checkpoint, architectures=["LlamaForCausalLM"])
    words = refusal(checkpoint)
    assert "['LlamaForCausalLM']" in words
    assert 'backend = "transformers"' in words


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention_bias", True),
        ("use_sliding_window", True),
        ("hidden_act", "gelu"),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("quantization_config", {"quant_method": "fp8"}),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}),
        ("rope_parameters", {"type": "linear", "rope_theta": 1e4, "factor": 4.0}),
    ],
)
def test_what_is_not_implemented_is_refused(checkpoint: Path, field: str, value: Any) -> None:
    edit_config(checkpoint, **{field: value})
    words = refusal(checkpoint)
    assert {"rope_parameters": "rope_type"}.get(field, field) in words
    assert "does not implement" in words


@pytest.mark.parametrize("value", [0, -4, "4", None, 4.0])
def test_a_size_that_is_no_size_is_named(checkpoint: Path, value: Any) -> None:
    edit_config(checkpoint, num_attention_heads=value)
    assert f"num_attention_heads in config.json is {value!r}" in refusal(checkpoint)


def test_heads_that_do_not_divide_are_refused(checkpoint: Path) -> None:
    edit_config(checkpoint, num_key_value_heads=3)
    assert "4 heads of 8 for 3 key-value heads" in refusal(checkpoint)


def test_missing_and_damaged_files_are_named(checkpoint: Path) -> None:
    content = (checkpoint / MODEL).read_bytes()
    (checkpoint / MODEL).write_bytes(content[:-100])
    assert "model.safetensors is damaged or cut short" in refusal(checkpoint)
    (checkpoint / MODEL).unlink()
    assert "model.safetensors is missing; name the directory" in refusal(checkpoint)
    (checkpoint / CONFIG).write_text('{"architectures": [')
    assert "config.json is not JSON" in refusal(checkpoint)
    (checkpoint / CONFIG).write_text("[]")
    assert "config.json is not a JSON object" in refusal(checkpoint)
    assert "config.json is missing; name the directory" in refusal(checkpoint / "nowhere")


def test_an_index_without_a_map_is_refused(checkpoint: Path) -> None:
    (checkpoint / INDEX).write_text("{}")
    assert "has no weight_map" in refusal(checkpoint)


def test_tensors_that_do_not_fit_the_config_are_named(checkpoint: Path) -> None:
    name = "model.layers.1.self_attn.k_norm.weight"
    edit_tensors(checkpoint, **{name: np.ones(6, np.float32)})
    assert f"'{name}' has the shape [6]; config.json says (8,)" in refusal(checkpoint)
    edit_tensors(checkpoint, **{name: np.ones(8, np.int32)})
    assert f"'{name}' is of type 'I32'" in refusal(checkpoint)
    edit_tensors(checkpoint, name)
    assert f"no tensor '{name}'" in refusal(checkpoint)


def test_tensors_that_nobody_reads_are_refused(checkpoint: Path) -> None:
    extra = {f"model.layers.0.self_attn.{one}_proj.bias": np.ones(8, np.float32) for one in "qkvop"}
    edit_tensors(checkpoint, **extra)
    words = refusal(checkpoint)
    assert "no use for 'model.layers.0.self_attn.k_proj.bias'" in words
    assert "(5 tensors)" in words


def test_max_length_follows_the_model_and_the_options(checkpoint: Path) -> None:
    assert load(checkpoint).spec.max_length == 128
    assert load(checkpoint, NumpyOptions(max_length=16)).spec.max_length == 16
    with pytest.raises(ModelError, match="max_length is 129; this model was trained for 128"):
        load(checkpoint, NumpyOptions(max_length=129))
    edit_config(checkpoint, max_position_embeddings=40960)
    assert load(checkpoint).spec.max_length == 4096


def test_a_cache_beyond_all_memory_says_what_to_lower(checkpoint: Path) -> None:
    edit_config(checkpoint, max_position_embeddings=2**40)
    with pytest.raises(ModelError, match="lower max_sequences or max_length"):
        load(checkpoint, NumpyOptions(max_length=2**40))


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="max_lenght"):
        NumpyOptions.model_validate({"max_lenght": 5})


def test_progress_is_reported(checkpoint: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    NumpyBackend().load(
        checkpoint, NumpyOptions(), lambda stage, done=0, total=0: seen.append((stage, done, total))
    )
    assert seen == [
        ("reading weights", 0, 1),
        ("laying out layers", 0, 2),
        ("laying out layers", 1, 2),
    ]
