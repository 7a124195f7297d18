"""Grammars through the whole engine: scheduler, sampler, cancellation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llguidance", reason="needs enginebay-core[structured]")

from enginebay_core.api import (
    EngineClosed,
    EngineError,
    FinishReason,
    GenerationRequest,
    Grammar,
    Sampled,
    SampleRow,
    SamplingParams,
    UnsupportedField,
)
from enginebay_core.engine import StepGenerator
from enginebay_core.grammar import GrammarLimits, Vocabulary
from enginebay_core.text import ByteTokenizer, spell_vocabulary
from enginebay_core.toy import ToyEngine

from .test_compiler import TAKES_MINUTES
from .walk import json_rule

PAIRS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["a"],
    },
    "minItems": 4,
    "maxItems": 4,
}


def spell() -> Vocabulary:
    return spell_vocabulary(ByteTokenizer(), ToyEngine().spec.vocab_size)


@contextmanager
def generating(engine: ToyEngine, **limits: Any) -> Iterator[StepGenerator]:
    generator = StepGenerator(engine, "toy", spell=spell, grammars=GrammarLimits(**limits))
    try:
        yield generator
    finally:
        generator.close()


def ask(schema: Any, seed: int = 0, **change: Any) -> GenerationRequest:
    request = GenerationRequest(
        prompt=(1, 2, 3 + seed),
        max_tokens=300,
        sampling=SamplingParams(temperature=1.0, seed=seed),
        grammar=Grammar(json_rule(schema)),
    )
    return replace(request, **change)


async def answer(generator: StepGenerator, request: GenerationRequest) -> tuple[bytes, str]:
    ids: list[int] = []
    finish = None
    async for step in generator.generate(request):
        ids += step.ids
        finish = step.finish
    assert finish is not None
    return bytes(ids), finish.value


def is_pairs(content: bytes) -> bool:
    value = json.loads(content)
    return len(value) == 4 and all(0 <= pair["a"] <= 99 for pair in value)


async def test_a_sequence_that_is_sent_back_keeps_its_place() -> None:
    """KV memory for less than two answers: the last is sent back to wait, again and again."""
    engine = ToyEngine(max_sequences=4)
    engine.spec = replace(engine.spec, kv_bytes=110 * engine.spec.kv_bytes_per_token)
    with generating(engine) as generator:
        asked = [replace(ask(PAIRS, seed), max_tokens=100) for seed in range(4)]
        together = await asyncio.gather(*(answer(generator, request) for request in asked))
        assert all(finish == "stop" and is_pairs(content) for content, finish in together)
        assert [await answer(generator, request) for request in asked] == together


class Deaf(ToyEngine):
    """Its sampler reads no masks."""

    def sample(self, logits: npt.NDArray[np.float32], rows: Sequence[SampleRow]) -> list[Sampled]:
        return super().sample(logits, [replace(row, mask=None) for row in rows])


async def test_what_the_mask_forbids_never_comes_out() -> None:
    with generating(Deaf()) as generator:
        free = replace(ask(PAIRS), grammar=None, max_tokens=20)
        bound = ask({"type": "null"})
        outcomes = await asyncio.gather(
            answer(generator, free), answer(generator, bound), return_exceptions=True
        )
        assert isinstance(outcomes[0], tuple), "a neighbour suffers"
        assert isinstance(outcomes[1], EngineError)
        assert "forbids" in str(outcomes[1])
        assert generator.running == 0


async def test_leaving_while_it_is_compiled_leaves_nothing() -> None:
    with generating(ToyEngine(), seconds=0.5) as generator:
        await answer(generator, ask({"type": "null"}))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await answer(generator, ask(TAKES_MINUTES))
        assert generator.running + generator.waiting == 0
        await asyncio.sleep(0.6)
        assert generator.running + generator.waiting == 0
        assert await answer(generator, ask({"type": "null"})) == (b"null", "stop")


async def test_closing_while_it_is_compiled_ends_the_request() -> None:
    with generating(ToyEngine()) as generator:
        await answer(generator, ask({"type": "null"}))
        waiting = asyncio.create_task(answer(generator, ask(TAKES_MINUTES)))
        await asyncio.sleep(0.1)
        generator.close()
        with pytest.raises(EngineClosed):
            await waiting


async def test_without_a_vocabulary_there_are_no_grammars() -> None:
    generator = StepGenerator(ToyEngine(), "toy")
    with pytest.raises(UnsupportedField):
        await answer(generator, ask(True))
    generator.close()


async def test_what_is_complete_at_the_last_token_is_complete() -> None:
    with generating(ToyEngine()) as generator:
        content, finish = await answer(generator, ask({"type": "null"}, max_tokens=4))
        assert (content, finish) == (b"null", FinishReason.STOP.value)
        assert await answer(generator, ask({"type": "null"}, max_tokens=3)) == (b"nul", "length")
