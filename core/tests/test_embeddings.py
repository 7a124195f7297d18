"""Inputs of many requests, on one thread that owns the embedder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import EngineCrashed, EngineError, Overloaded
from enginebay_core.config import ModelConfig
from enginebay_core.engine import Embeddings, InlineEmbeddings, QueueLimits
from enginebay_core.engine.embedding import EmbeddingLoop, Input
from enginebay_core.engine.mailbox import Embedding, Letter
from enginebay_core.placement import open_model
from enginebay_core.toy import ToyEmbedder

STEP = 0.15
"""Seconds that each batch takes."""
LONG = (7,) * 2000
"""Few of its length fit into one batch."""


@contextmanager
def embedder(placement: str, seconds: float) -> Iterator[Embeddings]:
    if placement == "inline":
        made: Embeddings = InlineEmbeddings(
            ToyEmbedder(step_seconds=STEP), "toy", QueueLimits(seconds=seconds)
        )
    else:
        options = {"task": "embed", "step_seconds": STEP}
        config = ModelConfig.model_validate(
            {
                "backend": "toy",
                "model": "toy",
                "options": options,
                "placement": "process",
                "queue": {"seconds": seconds},
            }
        )
        found = open_model("far", config, lambda *_: None).embeddings
        assert found is not None
        made = found
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("placement", ["inline", "process"])
def test_who_waits_for_too_long_is_told(placement: str) -> None:
    """A request whose first input is under way is served, however long the others take."""
    with embedder(placement, seconds=2 * STEP) as embeddings:

        async def ask() -> tuple[object, object, object]:
            first = asyncio.create_task(embeddings.embed([LONG] * 30))
            await asyncio.sleep(STEP / 2)
            late = asyncio.create_task(embeddings.embed([LONG]))
            served, told = await asyncio.gather(first, late, return_exceptions=True)
            return served, told, await embeddings.embed([LONG])

        served, told, after = asyncio.run(ask())
    assert isinstance(served, list)
    assert len(served) == 30
    assert isinstance(told, Overloaded)
    assert "no room within 0.3 s: backend 'toy' is busy" in str(told)
    assert isinstance(after, list)


def test_a_fault_outside_a_batch_ends_everything_and_refuses_the_rest() -> None:
    toy = ToyEmbedder(step_seconds=STEP)
    told: list[str] = []
    letters: list[tuple[Any, Letter]] = []
    loop = EmbeddingLoop(toy, "toy", QueueLimits(), letters.extend, told.append)
    loop.submit(Input((1, 2, 3), "first"))
    wait_until(lambda: loop.running == 1)
    object.__setattr__(toy.spec, "batch_ids", None)  # nothing compares with it
    for name in ("second", "third"):
        loop.submit(Input((1, 2, 3), name))
    wait_until(lambda: len(letters) == 3)
    ended = {name: type(letter) for name, letter in letters}
    assert ended == {"first": Embedding, "second": EngineCrashed, "third": EngineCrashed}
    with pytest.raises(EngineCrashed, match="'toy' is broken: what runs its batches failed"):
        loop.submit(Input((1, 2, 3), "fourth"))
    loop.close()
    assert told == [loop.broken]


@pytest.mark.parametrize(("bad", "broken"), [(7, False), (0, True)])
def test_an_embedder_that_fails_every_input_is_broken(bad: int, broken: bool) -> None:
    """One that fails on some of them alone is not."""
    letters: list[tuple[Any, Letter]] = []
    loop = EmbeddingLoop(Failing(bad), "toy", QueueLimits(), letters.extend)
    for number in range(6):
        with suppress(EngineCrashed):
            loop.submit(Input((bad, 2), number))
        wait_until(lambda number=number: len(letters) > number or loop.broken is not None)  # type: ignore[misc]
    loop.close()
    assert (loop.broken is not None) == broken
    assert type(letters[0][1]) is EngineError


class Failing(ToyEmbedder):
    def __init__(self, bad: int) -> None:
        super().__init__()
        self.bad = bad

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        if any(self.bad in ids for ids in inputs):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().embed(inputs)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
