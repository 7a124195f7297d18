"""Slots for every model that is proved to work in them, the model's own cache for the rest."""

from __future__ import annotations

import gc
import logging

from enginebay_core.api import EngineSpec, ModelError, Progress
from enginebay_transformers import proof
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.kv_room import choose_length
from enginebay_transformers.native_engine import NativeEngine
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.packed_linear import pack_linears
from enginebay_transformers.shared_input import watch_inputs
from enginebay_transformers.slot_attention import NotForSlots
from enginebay_transformers.slot_choice import FATAL, Probe, prove_slots
from enginebay_transformers.slot_engine import SlotEngine

logger = logging.getLogger(__name__)


def choose_engine(
    model: CausalModel, options: TransformersOptions, progress: Progress
) -> SlotEngine | NativeEngine:
    """Raises ModelError when neither engine computes what the model computes."""
    if model.cache_name is None:
        raise ModelError(f"{architecture(model)} has no cache to generate with; it is not served")
    ids = proof.probe_ids(model.config.get_text_config().vocab_size)
    with watch_inputs(model.model) as siblings:
        probe = Probe(ids, proof.plain_logits(model, ids))
    attention, facts = model.attention, describe(model)
    pack_linears(model.model, siblings)
    try:
        return prove_slots(model, options, probe, facts, progress)
    except FATAL:
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
    facts["kv"] = f"the model's own, one sequence: {reason}"
    return prove_native(model, options, probe, facts)


def prove_native(
    model: CausalModel, options: TransformersOptions, probe: Probe, facts: dict[str, str]
) -> NativeEngine:
    spec = EngineSpec(
        vocab_size=probe.logits.shape[-1],
        max_length=choose_length(model.config, options),
        max_sequences=1,
        kv_bytes=0,
        kv_bytes_per_token=0,
        batching="single",
        facts=facts,
    )
    engine = NativeEngine(model, spec)
    error = proof.native_error(engine, probe.logits, probe.ids)
    if error > proof.TOLERANCE[model.dtype]:
        raise ModelError(
            f"{architecture(model)} in {dtype_name(model)} cannot generate id by id: with a cache "
            f"its logits differ from those without by {error:.2g} of their spread; try another "
            "dtype or attn_implementation"
        )
    return engine


def describe(model: CausalModel) -> dict[str, str]:
    return {
        "architecture": architecture(model),
        "device": ", ".join(model.devices),
        "dtype": dtype_name(model),
        "attention": model.attention,
    }


def architecture(model: CausalModel) -> str:
    return type(model.model).__name__


def dtype_name(model: CausalModel) -> str:
    return str(model.dtype).removeprefix("torch.")
