"""A Qwen3 checkpoint as Hugging Face Transformers 4 and 5 write it, checked and laid out for the
engine: ``config.json``, and safetensors in one file or several.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from enginebay_core.api import ModelError, Progress

Floats: TypeAlias = npt.NDArray[np.float32]

ARCHITECTURE: Final = "Qwen3ForCausalLM"
IMPLEMENTED: Final = {
    "hidden_act": "silu",
    "attention_bias": False,
    "use_sliding_window": False,
    "quantization_config": None,
    "layer_types": ["full_attention"],
    "rope_type": "default",
}
"""What the forward pass does where ``config.json`` leaves a choice. Absent means the same."""


@dataclass(frozen=True, slots=True)
class Config:
    """The numbers of ``config.json`` that the forward pass needs."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_positions: int
    epsilon: np.float32
    rope_theta: float
    tied: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights. Matrices are (in, out) in C order, which ``x @ matrix`` reads fastest.

    Rope turns numbers in pairs; queries and keys have each pair side by side here, half a head
    apart in the file. ``query_key_norm``, of shape (heads + kv_heads, head_dim), has attention's
    scale, head_dim ** -0.5, in its query rows.
    """

    attention_norm: Floats
    queries_keys_values: Floats
    query_key_norm: Floats
    output: Floats
    mlp_norm: Floats
    gate_up: Floats
    down: Floats


@dataclass(frozen=True, slots=True)
class Weights:
    """``embedding`` is (vocab_size, hidden_size) and ``unembedding`` (hidden_size, vocab_size);
    where the model ties them, they are one array seen from two sides.
    """

    embedding: Floats
    layers: tuple[Layer, ...]
    final_norm: Floats
    unembedding: Floats


def read_config(model: Path) -> Config:
    """What the forward pass lacks is refused by name: it would run, and answer wrongly."""
    fields = _read_json(model / "config.json")
    if fields.get("architectures") != [ARCHITECTURE]:
        raise ModelError(
            f"the checkpoint's architectures is {fields.get('architectures')!r}; the numpy backend "
            f'runs {ARCHITECTURE!r} alone. Use backend = "transformers" for this model'
        )
    # Transformers 5 writes rope_parameters, 4 wrote rope_theta and, where not default, rope_scaling
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    fields["rope_type"] = rope.get("rope_type", rope.get("type", "default"))
    fields["rope_theta"] = rope.get("rope_theta", fields.get("rope_theta"))
    fields["layer_types"] = sorted(set(fields.get("layer_types") or ["full_attention"]))
    _refuse_unimplemented(fields)
    config = Config(
        vocab_size=_whole(fields, "vocab_size"),
        hidden_size=_whole(fields, "hidden_size"),
        intermediate_size=_whole(fields, "intermediate_size"),
        layers=_whole(fields, "num_hidden_layers"),
        heads=_whole(fields, "num_attention_heads"),
        kv_heads=_whole(fields, "num_key_value_heads"),
        head_dim=_whole(fields, "head_dim"),
        max_positions=_whole(fields, "max_position_embeddings"),
        epsilon=np.float32(_above_zero(fields, "rms_norm_eps")),
        rope_theta=_above_zero(fields, "rope_theta"),
        tied=fields.get("tie_word_embeddings", False) is True,
    )
    if config.heads % config.kv_heads or config.head_dim % 2:
        raise ModelError(
            f"config.json has {config.heads} heads of {config.head_dim} for {config.kv_heads} "
            "key-value heads; heads must divide evenly and their size by 2"
        )
    return config


def read_weights(model: Path, config: Config, progress: Progress) -> Weights:
    """Every tensor in float32. A tensor that is missing, of another shape or of no use to the
    engine is an error.
    """
    tensors = Tensors(model, progress)
    embedding = tensors.take("model.embed_tokens.weight", config.vocab_size, config.hidden_size)
    if config.tied:
        tensors.by_name.pop("lm_head.weight", None)  # some files hold the copy all the same
        unembedding = np.ascontiguousarray(embedding.T)
        embedding = unembedding.T
    else:
        head = tensors.take("lm_head.weight", config.vocab_size, config.hidden_size)
        unembedding = np.ascontiguousarray(head.T)
    layers = []
    for index in range(config.layers):
        progress("laying out layers", index, config.layers)
        layers.append(_read_layer(tensors, f"model.layers.{index}.", config))
    final_norm = tensors.take("model.norm.weight", config.hidden_size)
    if tensors.by_name:
        raise ModelError(f"the numpy backend has no use for {_some(tensors.by_name)}")
    return Weights(embedding, tuple(layers), final_norm, unembedding)


class Tensors:
    """The tensors of a checkpoint as they lie in its files, by name; each is taken once."""

    def __init__(self, model: Path, progress: Progress) -> None:
        self.by_name: dict[str, Mapping[str, Any]] = {}
        files = _weight_files(model)
        for number, file in enumerate(files):
            progress("reading weights", number, len(files))
            try:
                content = deserialize(file.read_bytes())  # type: ignore[no-untyped-call]  # a binding without types
                self.by_name.update(content)
            except OSError as error:
                raise _unreadable(file, error) from error
            except SafetensorError as error:
                raise ModelError(
                    f"{file} is damaged or cut short ({error}); download it again"
                ) from error

    def take(self, name: str, *shape: int) -> Floats:
        tensor = self.by_name.pop(name, None)
        if tensor is None:
            raise ModelError(f"the checkpoint has no tensor {name!r}; download it again")
        if tuple(tensor["shape"]) != shape:
            raise ModelError(f"{name!r} has the shape {tensor['shape']}; config.json says {shape}")
        return _widen(tensor["data"], tensor["dtype"], name).reshape(shape)


def _read_layer(tensors: Tensors, prefix: str, config: Config) -> Layer:
    hidden, wide, head_dim = config.hidden_size, config.intermediate_size, config.head_dim
    asking, answering = config.heads * head_dim, config.kv_heads * head_dim
    attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
    queries = _pair_up(tensors.take(f"{attention}q_proj.weight", asking, hidden), head_dim)
    keys = _pair_up(tensors.take(f"{attention}k_proj.weight", answering, hidden), head_dim)
    values = tensors.take(f"{attention}v_proj.weight", answering, hidden)
    query_norm = _pair_up(tensors.take(f"{attention}q_norm.weight", head_dim), head_dim)
    key_norm = _pair_up(tensors.take(f"{attention}k_norm.weight", head_dim), head_dim)
    scaled = query_norm * np.float32(head_dim**-0.5)
    gate = tensors.take(f"{mlp}gate_proj.weight", wide, hidden)
    up = tensors.take(f"{mlp}up_proj.weight", wide, hidden)
    return Layer(
        attention_norm=tensors.take(f"{prefix}input_layernorm.weight", hidden),
        queries_keys_values=_stack(queries, keys, values),
        query_key_norm=np.stack([scaled] * config.heads + [key_norm] * config.kv_heads),
        output=_stack(tensors.take(f"{attention}o_proj.weight", hidden, asking)),
        mlp_norm=tensors.take(f"{prefix}post_attention_layernorm.weight", hidden),
        gate_up=_stack(gate, up),
        down=_stack(tensors.take(f"{mlp}down_proj.weight", hidden, wide)),
    )


def _stack(*matrices: Floats) -> Floats:
    """From (out, in) each to one (in, out) for all."""
    return np.ascontiguousarray(np.concatenate(matrices).T)


def _pair_up(rows: Floats, head_dim: int) -> Floats:
    """Each head's rows from a0 a1 … b0 b1 … to a0 b0 a1 b1 …"""
    halves = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _widen(data: bytearray, dtype: str, name: str) -> Floats:
    """To float32. A bfloat16 is the upper half of a float32, and numpy has no type for it."""
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if dtype not in ("F16", "F32"):
        raise ModelError(f"{name!r} is of type {dtype!r}; the numpy backend reads F32, F16, BF16")
    return np.frombuffer(data, f"<f{int(dtype[1:]) // 8}").astype(np.float32, copy=False)


def _weight_files(model: Path) -> list[Path]:
    index = model / "model.safetensors.index.json"
    if not index.exists():
        return [model / "model.safetensors"]
    names = _read_json(index).get("weight_map")
    if not isinstance(names, dict):
        raise ModelError(f"{index} has no weight_map; download it again")
    return [model / str(name) for name in sorted(set(names.values()))]


def _unreadable(file: Path, error: OSError) -> ModelError:
    if isinstance(error, FileNotFoundError):
        return ModelError(f"{file} is missing; name the directory that holds the whole checkpoint")
    return ModelError(f"{file} cannot be read: {error.strerror}")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise _unreadable(file, error) from error
    except ValueError as error:
        raise ModelError(f"{file} is not JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} is not a JSON object; download it again")
    return content


def _refuse_unimplemented(fields: Mapping[str, Any]) -> None:
    lacking = [
        f"{name} = {fields[name]!r}"
        for name, implemented in IMPLEMENTED.items()
        if name in fields and fields[name] != implemented
    ]
    if lacking:
        raise ModelError(
            f"config.json asks for {', '.join(lacking)}, which the numpy backend does not "
            'implement. Use backend = "transformers" for this model'
        )


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or value < 1:
        raise ModelError(f"{name} in config.json is {value!r}; it must be a whole number above 0")
    return value


def _above_zero(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or value <= 0:
        raise ModelError(f"{name} in config.json is {value!r}; it must be a number above 0")
    return float(value)


def _some(names: Mapping[str, Any]) -> str:
    listed = ", ".join(repr(name) for name in sorted(names)[:4])
    return f"{listed}, … ({len(names)} tensors)" if len(names) > 4 else listed
