"""What config.json says of a Llama-like decoder, as far as the builders of graphs follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from enginebay_core.api import ModelError

FAMILIES: Final = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ROPE_TYPES: Final = ("default", "linear", "llama3")


class NotBuilt(Exception):
    """A builder of graphs does not know this architecture, or something it asks for; says what."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """The numbers that decide the graph. ``windows`` has one entry per layer, -1 for full
    attention; a window of w lets an id see itself and the w - 1 ids before it.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_positions: int
    epsilon: float
    tied: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    windows: tuple[int, ...]
    rope: Mapping[str, Any]


def read_decoder(config: Mapping[str, Any]) -> Decoder:
    """Raises NotBuilt for what the builder lacks, ModelError for a config that makes no sense."""
    family = str((config.get("architectures") or [None])[0])
    _refuse_unknown(config, family)
    heads = _whole(config, "num_attention_heads")
    bias = config.get("attention_bias") is True
    layers = _whole(config, "num_hidden_layers")
    decoder = Decoder(
        vocab_size=_whole(config, "vocab_size"),
        hidden_size=_whole(config, "hidden_size"),
        intermediate_size=_whole(config, "intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=_whole(config, "num_key_value_heads", heads),
        head_dim=_whole(config, "head_dim", _whole(config, "hidden_size") // heads),
        max_positions=_whole(config, "max_position_embeddings"),
        epsilon=_above_zero(config, "rms_norm_eps"),
        tied=config.get("tie_word_embeddings") is True,
        qkv_bias=bias or family.startswith("Qwen2"),
        output_bias=bias and not family.startswith("Qwen2"),
        mlp_bias=config.get("mlp_bias") is True,
        qk_norm=family.startswith("Qwen3"),
        windows=_windows(config, family, layers),
        rope=read_rope(config),
    )
    if decoder.heads % decoder.kv_heads or decoder.head_dim % 16:
        raise NotBuilt(
            f"the builder takes no {decoder.heads} heads of {decoder.head_dim} for "
            f"{decoder.kv_heads} key-value heads"
        )
    return decoder


def read_rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Transformers 5 writes rope_parameters; 4 wrote rope_theta and, where not default,
    rope_scaling. Raises ModelError when neither names a base: guessing one would answer wrongly.
    """
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope["rope_type"] = rope.get("rope_type", rope.get("type", "default"))
    rope.setdefault("rope_theta", config.get("rope_theta"))
    _above_zero(rope, "rope_theta")
    if rope["rope_type"] not in ROPE_TYPES or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise NotBuilt(
            f"rope is {rope!r}; the builder knows {', '.join(ROPE_TYPES)} over all of it"
        )
    return rope


def _refuse_unknown(config: Mapping[str, Any], family: str) -> None:
    if family not in FAMILIES:
        raise NotBuilt(f"architecture is {family!r}; the builder knows {', '.join(FAMILIES)}")
    if config.get("hidden_act", "silu") != "silu":
        raise NotBuilt(f"hidden_act is {config['hidden_act']!r}; the builder knows 'silu'")
    if config.get("quantization_config"):
        raise ModelError(
            "the checkpoint is quantized already; export from its float weights instead"
        )


def _windows(config: Mapping[str, Any], family: str, layers: int) -> tuple[int, ...]:
    window = config.get("sliding_window")
    if window is None or not config.get("use_sliding_window", family.startswith("Mistral")):
        return (-1,) * layers
    kinds = config.get("layer_types")
    if kinds is None:
        first = 0 if family.startswith("Mistral") else int(config.get("max_window_layers") or 0)
        kinds = ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    return tuple(int(window) if kind == "sliding_attention" else -1 for kind in kinds)


def _whole(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name)
    value = default if value is None else value
    if not isinstance(value, int) or value < 1:
        raise ModelError(f"{name} in config.json is {value!r}; it must be a whole number above 0")
    return value


def _above_zero(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or value <= 0:
        raise ModelError(f"{name} in config.json is {value!r}; it must be a number above 0")
    return float(value)
