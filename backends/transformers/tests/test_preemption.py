"""KV memory too short for all at once: sequences are sent back, and say what they say alone."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from enginebay_core.api import (
    EngineSpec,
    GenerationRequest,
    Logits,
    Sampled,
    SampleRow,
    SamplingParams,
    StepBatch,
    StepEngine,
)
from enginebay_core.engine import StepGenerator

ROOM = 60
"""Ids of KV: any of the three sequences fits, of 35, 43 and 53 ids, no two of them to the end."""


class ShortOfMemory:
    """An engine whose memory holds ``ROOM`` ids. Counts prompts that were begun."""

    def __init__(self, engine: StepEngine) -> None:
        per_token = engine.spec.kv_bytes_per_token
        self.spec: EngineSpec = dataclasses.replace(engine.spec, kv_bytes=ROOM * per_token)
        self.begun = 0
        self._engine = engine

    def forward(self, batch: StepBatch) -> Logits:
        self.begun += sum(row.start == 0 for row in batch.rows)
        return self._engine.forward(batch)

    def sample(self, logits: Logits, rows: Sequence[SampleRow]) -> list[Sampled]:
        return self._engine.sample(logits, rows)

    def close(self) -> None:
        """The engine is the fixture's."""


async def collect(generator: StepGenerator, prompt: tuple[int, ...]) -> tuple[int, ...]:
    request = GenerationRequest(prompt, 32, SamplingParams(temperature=0))
    return tuple([token async for step in generator.generate(request) for token in step.ids])


async def test_preempted_sequences_say_the_same(decoder: str, lab: Any) -> None:
    engine = ShortOfMemory(lab.load(decoder))
    generator = StepGenerator(engine, decoder)
    try:
        found = await asyncio.gather(*(collect(generator, prompt) for prompt in lab.prompts))
    finally:
        generator.close()
    assert tuple(found) == lab.reference(decoder).outputs
    assert engine.begun > len(lab.prompts)
