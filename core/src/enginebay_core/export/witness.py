"""What a model says to a few fixed prompts: the measure that an export is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import Free, Progress, StepBatch, StepEngine, StepRow

Floats: TypeAlias = npt.NDArray[np.float32]

LENGTHS: Final = (3, 17, 40, 130)
"""Ids of each prompt: shorter and longer than a chunk, and long enough for positions to tell."""
NEW_IDS: Final = 12


@dataclass(frozen=True)
class Witness:
    """A prompt, the greedy ids that follow it, and the logits after each id of both: shape
    (prompt + output, vocabulary), float32.
    """

    prompt: tuple[int, ...]
    output: tuple[int, ...]
    logits: Floats

    @property
    def ids(self) -> tuple[int, ...]:
        return self.prompt + self.output


def call_witnesses(engine: StepEngine, progress: Progress) -> list[Witness]:
    """Each prompt alone: whole, then id by id."""
    prompts = probe_prompts(engine)
    steps = iter(range(len(prompts) * (NEW_IDS + 1)))

    def step() -> None:
        progress("asking the reference", next(steps), len(prompts) * (NEW_IDS + 1))

    return [continue_greedily(engine, prompt, step) for prompt in prompts]


def continue_greedily(
    engine: StepEngine, prompt: tuple[int, ...], before_step: Callable[[], None]
) -> Witness:
    before_step()
    logits = [run(engine, StepRow(0, 0, prompt, "all"), free=True)]
    output: list[int] = []
    for position in range(len(prompt), len(prompt) + NEW_IDS):
        before_step()
        output.append(int(logits[-1][-1].argmax()))
        logits.append(run(engine, StepRow(0, position, (output[-1],))))
    return Witness(prompt, tuple(output), np.concatenate(logits))


def probe_prompts(engine: StepEngine) -> list[tuple[int, ...]]:
    """Fixed, varied ids (steps of the golden ratio), cut to what the engine's context holds."""
    spec = engine.spec
    room = spec.context_length - NEW_IDS
    steps = [(i * 2654435769 >> 7) % spec.vocab_size for i in range(1, sum(LENGTHS) + 1)]
    starts = np.cumsum((0, *LENGTHS[:-1])).tolist()
    return [
        tuple(steps[start : start + min(length, room)])
        for start, length in zip(starts, LENGTHS, strict=True)
    ]


def run(engine: StepEngine, *rows: StepRow, free: bool = False) -> Floats:
    """One step. ``free``: the rows' slots are begun anew."""
    operations = tuple(Free(row.slot) for row in rows) if free else ()
    return to_numpy(engine.forward(StepBatch(operations, rows)))


def to_numpy(logits: Any) -> Floats:
    """Tensors of torch, on any device, are known by their methods."""
    if hasattr(logits, "detach"):
        logits = logits.detach().float().cpu().numpy()
    return np.asarray(logits, np.float32)
