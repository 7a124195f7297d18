"""From a loaded model to an engine of slots that is proved to compute what the model computes."""

from __future__ import annotations

import dataclasses
import gc
import logging
from dataclasses import dataclass
from typing import Final

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from enginebay_core.api import EngineSpec, ModelError, Progress
from enginebay_transformers import proof, slot_attention
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.decode_graphs import DecodeGraphs
from enginebay_transformers.decode_kernels import find_kernels
from enginebay_transformers.decode_rows import DecodeKernel
from enginebay_transformers.kv_room import fit_length
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.slot_attention import NotForSlots
from enginebay_transformers.slot_cache import LayerShape, SlotCache
from enginebay_transformers.slot_engine import SlotEngine
from enginebay_transformers.step_memory import measure_steps

logger = logging.getLogger(__name__)

PLAIN_LAYERS: Final = (DynamicLayer, DynamicSlidingWindowLayer)
"""Cache layers that hold nothing but keys and values per id."""

FATAL: Final = (ModelError, torch.OutOfMemoryError, MemoryError)
"""What no other kernel, and no other engine, would change."""


@dataclass(frozen=True)
class Probe:
    """A short text, and the model's own logits of it: (ids, vocabulary)."""

    ids: tuple[int, ...]
    logits: torch.Tensor


@dataclass(frozen=True)
class Recipe:
    """All that an engine of slots is made of. Without a kernel, attention is torch's alone."""

    model: CausalModel
    options: TransformersOptions
    shapes: list[LayerShape]
    kernel_name: str
    kernel: DecodeKernel | None
    facts: dict[str, str]

    @property
    def wants_graphs(self) -> bool:
        """One device only: a graph is one device's."""
        return self.kernel is not None and self.options.cuda_graphs and len(self.model.devices) == 1


def prove_slots(
    model: CausalModel,
    options: TransformersOptions,
    probe: Probe,
    facts: dict[str, str],
    progress: Progress,
) -> SlotEngine:
    """With the best decode kernel that passes. Raises NotForSlots, or what the model raises, when
    the model cannot run in slots at all.
    """
    shapes = find_shapes(model, probe.ids)
    replace_attention(model)
    for name, kernel in find_kernels(model.devices, model.dtype):
        try:
            return open_slots(Recipe(model, options, shapes, name, kernel, facts), probe, progress)
        except FATAL:
            raise
        except Exception as error:  # kernels are compiled at their first run, and fail in many ways
            logger.warning("decode attention by %s does not work here: %r", name, error)
        gc.collect()  # the failed attempt's KV
    return open_slots(Recipe(model, options, shapes, "", None, facts), probe, progress)


def open_slots(recipe: Recipe, probe: Probe, progress: Progress) -> SlotEngine:
    """Raises NotForSlots where the logits come out different."""
    model, options = recipe.model, recipe.options
    reserve = measure_steps(recipe, progress)
    length = fit_length(model.config, options, recipe.shapes, reserve)
    cache = SlotCache(recipe.shapes, options.max_sequences, length)
    engine = SlotEngine(model, cache, make_spec(recipe, probe, length), recipe.kernel)
    check_slots(engine, probe, model.dtype)
    return add_graphs(engine, recipe, cache, probe, progress) if recipe.wants_graphs else engine


def add_graphs(
    engine: SlotEngine, recipe: Recipe, cache: SlotCache, probe: Probe, progress: Progress
) -> SlotEngine:
    """The same with graphs; ``engine`` itself where they cannot be recorded, or come out wrong."""
    model, most = recipe.model, recipe.options.max_sequences
    assert recipe.kernel is not None
    try:
        graphs = DecodeGraphs.record(model, cache, recipe.kernel, most, progress)
        facts = {**engine.spec.facts, "graphs": " ".join(map(str, graphs.sizes))}
        spec = dataclasses.replace(engine.spec, facts=facts)
        graphed = SlotEngine(model, cache, spec, recipe.kernel, graphs)
        check_slots(graphed, probe, model.dtype)
    except Exception as error:  # the compiler's, CUDA's, or the model's for a sync while recording
        logger.warning("decode steps run without CUDA graphs: %r", error)
        return engine
    return graphed


def check_slots(engine: SlotEngine, probe: Probe, dtype: torch.dtype) -> None:
    error = proof.slots_error(engine, probe.logits, probe.ids)
    if error > proof.TOLERANCE[dtype]:
        raise NotForSlots(
            f"its logits come out different in slots (by {error:.2g} of their spread)"
        )


def make_spec(recipe: Recipe, probe: Probe, length: int) -> EngineSpec:
    slots = recipe.options.max_sequences
    per_token = sum(shape.bytes_per_token for shape in recipe.shapes)
    facts = {**recipe.facts, "kv": f"{slots} slots of {length} ids"}
    if recipe.kernel is not None:
        facts["decode attention"] = recipe.kernel_name
    return EngineSpec(
        vocab_size=probe.logits.shape[-1],
        max_length=length,
        max_sequences=slots,
        kv_bytes=per_token * length * slots,
        kv_bytes_per_token=per_token,
        kv_grain=1,
        rewind="any",
        batching="mixed",
        facts=facts,
    )


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
