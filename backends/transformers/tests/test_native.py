"""Models that slots cannot hold: one sequence, the model's own cache, the same text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from enginebay_core.api import EngineError, Free, StepBatch, StepRow
from enginebay_transformers.native_engine import NativeEngine
from enginebay_transformers.slot_attention import NotForSlots, name_for

OWN_CACHE = {
    "mamba": "it keeps no keys and values",
    "qwen3_next": "layer 0 keeps a LinearAttentionLayer",
    "deepseek_v3": "other keys than the layer just cached",
    "bloom": "its attention cannot be replaced",
}
Call = Callable[..., Any]


@pytest.mark.parametrize("name", OWN_CACHE)
def test_equals_generate_and_says_why(
    name: str, lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "enginebay_transformers"):
        engine = lab.load(name, max_length=100)
    assert isinstance(engine, NativeEngine)
    assert OWN_CACHE[name] in caplog.text
    assert OWN_CACHE[name] in engine.spec.facts["kv"]
    assert (engine.spec.batching, engine.spec.max_sequences) == ("single", 1)
    assert (engine.spec.kv_grain, engine.spec.rewind) == (0, "none")
    for prompt, expected in zip(lab.prompts, lab.reference(name).outputs, strict=True):
        assert lab.run(engine, [lab.job(prompt, operations=(Free(0),))]) == [expected]


def test_an_implementation_without_a_stand_in_keeps_its_own_cache() -> None:
    with pytest.raises(NotForSlots, match="'flash_attention_2'"):
        name_for("flash_attention_2")


def test_a_step_out_of_place_is_an_engine_error(lab: Any) -> None:
    engine = lab.load("mamba")
    engine.forward(StepBatch((), (StepRow(0, 0, (1, 2, 3)),)))
    with pytest.raises(EngineError, match="holds 3 ids, and a step starts at 5"):
        engine.forward(StepBatch((), (StepRow(0, 5, (4,)),)))
