"""Inputs of many requests, on one thread that owns the embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from enginebay_core.api import Overloaded
from enginebay_core.config import ModelConfig
from enginebay_core.engine import Embeddings, InlineEmbeddings, QueueLimits
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
