"""The step engine over a real model of the Transformers that is here: its bookkeeping, whatever
the ONNX side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import CopyPrefix, EngineSpec, Free, Rewind, StepBatch, StepRow
from enginebay_optimum.engine import PASS, OptimumEngine
from enginebay_optimum.kv_slots import KvSlots

Array = npt.NDArray[Any]
LENGTH = 256
IDS = tuple(7 * i % 251 for i in range(1, 80))
OTHER = tuple(11 * i % 241 for i in range(1, 60))


class Here:
    """``PastModel`` on Transformers 5. ``pasts`` are the arrays it was given."""

    def __init__(self, loaded: Any) -> None:
        self.loaded = loaded
        self.pasts: list[list[Array]] = []

    def run(self, feed: Mapping[str, Array], past: list[Array]) -> tuple[Array, list[Array]]:
        import torch
        from transformers import DynamicCache

        self.pasts.append(past)
        cache: Any = DynamicCache()
        for layer in range(len(past) // 2):
            key, value = (torch.from_numpy(past[2 * layer + part]) for part in (0, 1))
            cache.update(key, value, layer)
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        with torch.no_grad():
            logits = self.loaded(**inputs, past_key_values=cache, use_cache=True).logits
        kept = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        return logits.numpy(), [tensor.numpy() for tensor in kept]


@pytest.fixture(scope="module")
def loaded(save: Callable[..., Path]) -> Any:
    import transformers

    theirs: Any = transformers
    return theirs.AutoModelForCausalLM.from_pretrained(save()).eval()


@pytest.fixture
def here(loaded: Any) -> Here:
    return Here(loaded)


@pytest.fixture
def engine(here: Here) -> OptimumEngine:
    spec = EngineSpec(256, LENGTH, 4, 1, 0, kv_grain=1, rewind="any", batching="chunk")
    return OptimumEngine(here, KvSlots([(2, 32)] * 4, 4, LENGTH), spec)


def expected(loaded: Any, ids: tuple[int, ...]) -> Array:
    import torch

    with torch.no_grad():
        logits: Array = loaded(torch.tensor([ids])).logits[0].numpy()
    return logits


def step(engine: OptimumEngine, *rows: StepRow, operations: tuple[Any, ...] = ()) -> Array:
    return engine.forward(StepBatch(operations, rows))


def test_chunks_and_ids_one_by_one(engine: OptimumEngine, loaded: Any) -> None:
    whole = expected(loaded, IDS)
    assert step(engine, StepRow(2, 0, IDS[:9], "none")).shape == (0, 256)
    assert abs(step(engine, StepRow(2, 9, IDS[9:40], "all")) - whole[9:40]).max() < 1e-4
    for place in range(40, 50):
        assert (
            abs(step(engine, StepRow(2, place, IDS[place : place + 1])) - whole[place]).max() < 1e-4
        )


def test_a_ragged_batch_that_changes(engine: OptimumEngine, loaded: Any) -> None:
    """Two decode in another order, one leaves, a prefix is copied, one is cut back."""
    one, two = expected(loaded, IDS), expected(loaded, OTHER)
    step(engine, StepRow(0, 0, IDS[:5]), StepRow(3, 0, OTHER[:30]))

    def rows(a: int, b: int) -> tuple[StepRow, StepRow]:
        return StepRow(3, b, (OTHER[b],)), StepRow(0, a, (IDS[a],))

    for offset in range(4):
        said = step(engine, *rows(5 + offset, 30 + offset))
        assert abs(said - [two[30 + offset], one[5 + offset]]).max() < 1e-4
    said = step(engine, *reversed(rows(9, 34)))
    assert abs(said - [one[9], two[34]]).max() < 1e-4
    assert abs(step(engine, StepRow(3, 35, (OTHER[35],))) - two[35]).max() < 1e-4
    copy = CopyPrefix(source=3, target=1, length=20)
    said = step(engine, StepRow(1, 20, OTHER[20:36]), operations=(copy, Rewind(0, 4)))
    assert abs(said - two[35]).max() < 1e-4
    said = step(engine, StepRow(1, 36, (OTHER[36],)), StepRow(0, 4, (IDS[4],)))
    assert abs(said - [two[36], one[4]]).max() < 1e-4


def test_a_slot_begun_anew_in_the_same_place(engine: OptimumEngine, loaded: Any) -> None:
    """Same slot, same length: what the old text left must not be carried on."""
    step(engine, StepRow(0, 0, IDS[:6]))
    step(engine, StepRow(0, 6, (IDS[6],)))
    step(engine, StepRow(0, 0, OTHER[:7]), operations=(Free(0),))
    said = step(engine, StepRow(0, 7, (OTHER[7],)))
    assert abs(said - expected(loaded, OTHER)[7]).max() < 1e-4


def test_rows_that_go_on_are_not_gathered_anew(engine: OptimumEngine, here: Here) -> None:
    step(engine, StepRow(0, 0, IDS[:6]))
    step(engine, StepRow(0, 6, (IDS[6],)))
    step(engine, StepRow(0, 7, (IDS[7],)))
    gathered, carried = here.pasts[-2:]
    assert not np.shares_memory(gathered[0], carried[0])
    assert carried[0].shape[2] == 7
    assert engine._carried is not None


def test_long_prompts_run_in_passes(engine: OptimumEngine, loaded: Any, here: Here) -> None:
    ids = (*IDS, *OTHER, *IDS)[: PASS + 20]
    assert abs(step(engine, StepRow(1, 0, ids)) - expected(loaded, ids)[-1]).max() < 1e-4
    assert len(here.pasts) == 2
