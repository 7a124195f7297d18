"""From the files of an export to an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from enginebay_core.api import EngineSpec, ModelError, StepEngine
from enginebay_onnx.device_slots import DeviceSlots
from enginebay_onnx.kv_slots import HostSlots, KvShape, KvSlots
from enginebay_onnx.options import DEFAULT_MAX_LENGTH, OnnxOptions
from enginebay_onnx.plain_engine import PlainEngine
from enginebay_onnx.session import open_session
from enginebay_onnx.slot_engine import SlotEngine

GRAPH: Final = "model.onnx"
DTYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
LAYOUTS: Final = {
    "slots": "in place, GroupQueryAttention",
    "plain": "copied with every step, a plain graph",
}


def open_engine(directory: Path, precision: str, options: OnnxOptions) -> StepEngine:
    """Raises ModelError when ONNX Runtime cannot open the graph or the KV does not fit."""
    session = open_session(directory / GRAPH, options)
    said: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    shape = read_shape(session)
    length = choose_length(int(said["max_positions"]), options)
    facts = {
        "device": options.provider,
        "dtype": "int8" if precision == "int8" else shape.dtype.name,
        "kv": f"{options.max_sequences} slots of {length} ids, {LAYOUTS[said['layout']]}",
    }
    spec = EngineSpec(
        vocab_size=next(out for out in session.get_outputs() if out.name == "logits").shape[-1],
        max_length=length,
        max_sequences=options.max_sequences,
        kv_bytes=shape.bytes_per_token * length * options.max_sequences,
        kv_bytes_per_token=shape.bytes_per_token,
        kv_grain=1,
        rewind="any",
        batching="chunk",
        facts=facts,
    )
    if said["layout"] == "plain":
        return PlainEngine(session, HostSlots(shape, spec.max_sequences, length), spec)
    slots = make_slots(shape, spec, options)
    return SlotEngine(session, slots, spec, int(said["heads"]))


def make_slots(shape: KvShape, spec: EngineSpec, options: OnnxOptions) -> KvSlots:
    if options.provider == "cpu":
        return HostSlots(shape, spec.max_sequences, spec.max_length)
    return DeviceSlots(shape, spec.max_sequences, spec.max_length, options)


def read_shape(session: Any) -> KvShape:
    """Of the graph's inputs named "past."; a traced graph has its sizes as text."""
    past = [value for value in session.get_inputs() if value.name.startswith("past.")]
    sizes = {
        value.name.removeprefix("past."): (int(value.shape[1]), int(value.shape[3]))
        for value in past
    }
    return KvShape(sizes, np.dtype(DTYPES[past[0].type]))


def choose_length(trained: int, options: OnnxOptions) -> int:
    """Raises ModelError for more than the graph has positions."""
    length = options.max_length or min(trained, DEFAULT_MAX_LENGTH)
    if length > trained:
        raise ModelError(
            f"options.max_length is {length!r}, and the model has {trained} positions; lower it or "
            "leave it out"
        )
    return length
