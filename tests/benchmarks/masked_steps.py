"""What structured outputs add to whole decode steps: ``python -m tests.benchmarks.masked_steps``.

The transformers backend on a random model in the shape of Qwen3-0.6B, with 1, 8 and 32 sequences
under the grammars of ``masks``. Steps with and without masks take turns, so that other work on the
machine meets both alike.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tests.benchmarks.checkpoint import SMALL, have_checkpoint
from tests.benchmarks.masks import SCHEMAS, STOP, VOCAB_SIZE, make_vocabulary

from enginebay_core.api import Rule, SampleRow, SamplingParams, StepBatch, StepEngine, StepRow
from enginebay_core.grammar import Matcher
from enginebay_core.grammar.guidance import Guidance
from enginebay_core.plugins import load_backend

BATCHES: Final = (1, 8, 32)
PROMPT: Final = 64
BAR: Final = 0.05
LONGEST: Final = 200
"""Ids of a text, after which its sequence begins another one."""
SAMPLING: Final = {
    "greedy": SamplingParams(temperature=0),
    "drawn": SamplingParams(temperature=1, seed=1),
}


class Texts:
    """One sequence's grammar: text after text, of ids drawn from what its mask leaves."""

    def __init__(self, compiled: object, name: str, seed: int) -> None:
        self._compiled = compiled
        self._name = name
        self._draw = np.random.default_rng(seed)
        self._begin()

    def fill(self) -> None:
        self.matcher.fill()

    def take(self) -> None:
        """An id that the mask allows, as the engine's choice would be: a random model's own would
        fill strings for ever.
        """
        mask = self.matcher.mask
        assert mask is not None
        able = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
        self._next = int(self._draw.choice(able))

    def settle(self) -> None:
        """Tell the grammar of the id; this is what a step pays, drawing it is not."""
        if self._next != STOP:
            assert self.matcher.take(self._next) is None
            self._said += 1

    def renew(self) -> None:
        if self._next == STOP or self.matcher.complete or self._said > LONGEST:
            self._begin()

    def _begin(self) -> None:
        state = self._compiled.deep_copy()  # type: ignore[attr-defined]  # llguidance has no stubs
        self.matcher = Matcher(state, VOCAB_SIZE, frozenset({STOP}), None, self._name)
        self._said = 0


def load(directory: Path) -> StepEngine:
    backend = load_backend("transformers")
    options = backend.options.model_validate({"device": "cpu", "max_sequences": max(BATCHES)})
    engine = backend.load(directory, options, lambda stage, done=0, total=0: None)
    assert isinstance(engine, StepEngine)
    return engine


def prefill(engine: StepEngine, batch: int) -> None:
    for slot in range(batch):
        ids = tuple(range(100 + slot, 100 + slot + PROMPT))
        engine.forward(StepBatch((), (StepRow(slot, 0, ids),)))


def step(engine: StepEngine, params: SamplingParams, batch: int, texts: Sequence[Texts]) -> float:
    """Seconds of a decode step; ``texts`` is empty where nothing is masked."""
    rows = tuple(StepRow(slot, PROMPT, (200 + slot,)) for slot in range(batch))
    started = time.perf_counter()
    logits = engine.forward(StepBatch((), rows))
    for text in texts:
        text.fill()
    masks = [text.matcher.mask for text in texts] or [None] * batch
    asked = [SampleRow(i, params, (1,), (), mask=mask) for i, mask in enumerate(masks)]
    engine.sample(logits, asked)
    took = time.perf_counter() - started
    for text in texts:
        text.take()
    began = time.perf_counter()
    for text in texts:
        text.settle()
    took += time.perf_counter() - began
    for text in texts:
        text.renew()
    return took


def measure(engine: StepEngine, guidance: Guidance, batch: int, steps: int) -> float:
    """The worst share that masks added, of all ways to sample."""
    rules = [(Rule("json", json.dumps(schema)), name) for name, schema in SCHEMAS.items()]
    compiled = [(guidance.compile(rule, after_thinking=False), name) for rule, name in rules]
    chosen = itertools.islice(itertools.cycle(compiled), batch)
    texts = [Texts(grammar, name, seed) for seed, (grammar, name) in enumerate(chosen)]
    prefill(engine, batch)
    worst = 0.0
    for name, params in SAMPLING.items():
        for _ in range(3):
            step(engine, params, batch, texts)
        pairs = [
            (step(engine, params, batch, ()), step(engine, params, batch, texts))
            for _ in range(steps)
        ]
        plain, masked = (1000 * float(np.median(side)) for side in zip(*pairs, strict=True))
        added = float(np.median([1000 * (second - first) for first, second in pairs]))
        share = added / plain
        print(
            f"{batch:3} sequences, {name:6}: step {plain:7.1f} ms, with masks {masked:7.1f} ms; "
            f"masks add {added:6.2f} ms, {100 * share:5.2f} %",
            flush=True,
        )
        worst = max(worst, share)
    return worst


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, help="default: made in .bench/models")
    arguments.add_argument("--steps", type=int, default=60)
    asked = arguments.parse_args()
    directory = asked.model or have_checkpoint(SMALL, Path(".bench/models"), "cpu")
    guidance = Guidance(make_vocabulary())
    engine = load(directory)
    try:
        worst = max(measure(engine, guidance, batch, asked.steps) for batch in BATCHES)
    finally:
        engine.close()
    print(f"at most {100 * worst:.2f} % of a decode step; the bar is {100 * BAR:.0f} %")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
