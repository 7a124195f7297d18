"""Slots for every model that is proved to work in them, the model's own cache for the rest."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from typing import Final

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from enginebay_core.api import EngineSpec, ModelError
from enginebay_transformers import proof, slot_attention
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.kv_room import choose_length, fit_length
from enginebay_transformers.native_engine import NativeEngine
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.slot_attention import NotForSlots
from enginebay_transformers.slot_cache import LayerShape, SlotCache
from enginebay_transformers.slot_engine import SlotEngine

logger = logging.getLogger(__name__)

PLAIN_LAYERS: Final = (DynamicLayer, DynamicSlidingWindowLayer)
"""Cache layers that hold nothing but keys and values per id."""


def choose_engine(model: CausalModel, options: TransformersOptions) -> SlotEngine | NativeEngine:
    """Raises ModelError when neither engine computes what the model computes."""
    if model.cache_name is None:
        raise ModelError(f"{architecture(model)} has no cache to generate with; it is not served")
    attention = model.attention
    ids = proof.probe_ids(model.config.get_text_config().vocab_size)
    expected = proof.plain_logits(model, ids)
    try:
        return prove_slots(model, options, expected, ids)
    except (ModelError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # remote or odd model code fails in ways of its own
        reason = (
            str(error) if isinstance(error, NotForSlots) else f"{type(error).__name__}: {error}"
        )
    gc.collect()  # the failed attempt's KV
    model.attention = attention
    logger.warning(
        "%s runs one sequence at a time, with its own cache: %s", architecture(model), reason
    )
    return prove_native(model, options, expected, ids, reason)


def prove_slots(
    model: CausalModel,
    options: TransformersOptions,
    expected: torch.Tensor,
    ids: tuple[int, ...],
) -> SlotEngine:
    """Raises NotForSlots, or what the model raises, when it cannot run in slots."""
    own = model.attention
    shapes = find_shapes(model, ids)
    length = fit_length(model.config, options, shapes)
    replace_attention(model)
    per_token = sum(shape.bytes_per_token for shape in shapes)
    spec = EngineSpec(
        vocab_size=expected.shape[-1],
        max_length=length,
        max_sequences=options.max_sequences,
        kv_bytes=per_token * length * options.max_sequences,
        kv_bytes_per_token=per_token,
        kv_grain=1,
        rewind="any",
        batching="mixed",
        facts=describe(model, own, f"{options.max_sequences} slots of {length} ids"),
    )
    engine = SlotEngine(model, SlotCache(shapes, options.max_sequences, length), spec)
    error = proof.slots_error(engine, expected, ids)
    if error > proof.TOLERANCE[model.dtype]:
        raise NotForSlots(
            f"its logits come out different in slots (by {error:.2g} of their spread)"
        )
    return engine


def replace_attention(model: CausalModel) -> None:
    """Raises NotForSlots for a model, or an implementation, that ours cannot stand in for."""
    slot_attention.register()
    name = slot_attention.name_for(model.attention)
    model.attention = name
    if model.attention != name:
        raise NotForSlots("its attention cannot be replaced")


def find_shapes(model: CausalModel, ids: tuple[int, ...]) -> list[LayerShape]:
    """Read off the model's own cache after a short run. Raises NotForSlots for other caches."""
    cache = own_cache(model, ids)
    if type(cache) is not DynamicCache:
        kept = "no keys and values" if cache is None else f"a {type(cache).__name__}"
        raise NotForSlots(f"it keeps {kept}")
    return [layer_shape(number, layer) for number, layer in enumerate(cache.layers)]


@torch.inference_mode()
def own_cache(model: CausalModel, ids: tuple[int, ...]) -> object:
    tensor = torch.tensor([ids], device=model.device)
    positions = torch.arange(len(ids), device=model.device)[None]
    _, output = model.run(tensor, positions, (), use_cache=True)
    return getattr(output, "past_key_values", None)


def layer_shape(number: int, layer: object) -> LayerShape:
    if type(layer) not in PLAIN_LAYERS:
        raise NotForSlots(f"layer {number} keeps a {type(layer).__name__}")
    assert isinstance(layer, DynamicLayer)
    keys, values = layer.keys, layer.values
    if keys is None or values is None or keys.dim() != 4 or values.shape[1] != keys.shape[1]:
        raise NotForSlots(f"layer {number} keeps no keys and values of its own")
    return LayerShape(
        keys.shape[1], keys.shape[3], values.shape[3], keys.dtype, torch.device(keys.device)
    )


def prove_native(
    model: CausalModel,
    options: TransformersOptions,
    expected: torch.Tensor,
    ids: tuple[int, ...],
    reason: str,
) -> NativeEngine:
    length = choose_length(model.config, options)
    spec = EngineSpec(
        vocab_size=expected.shape[-1],
        max_length=length,
        max_sequences=1,
        kv_bytes=0,
        kv_bytes_per_token=0,
        batching="single",
        facts=describe(model, model.attention, f"the model's own, one sequence: {reason}"),
    )
    engine = NativeEngine(model, spec)
    error = proof.native_error(engine, expected, ids)
    if error > proof.TOLERANCE[model.dtype]:
        raise ModelError(
            f"{architecture(model)} in {dtype_name(model)} cannot generate id by id: with a cache "
            f"its logits differ from those without by {error:.2g} of their spread; try another "
            "dtype or attn_implementation"
        )
    return engine


def describe(model: CausalModel, attention: str, kv: str) -> Mapping[str, str]:
    return {
        "architecture": architecture(model),
        "device": ", ".join(model.devices),
        "dtype": dtype_name(model),
        "attention": attention,
        "kv": kv,
    }


def architecture(model: CausalModel) -> str:
    return type(model.model).__name__


def dtype_name(model: CausalModel) -> str:
    return str(model.dtype).removeprefix("torch.")
