"""What a grammar adds to a decode step: ``python -m tests.benchmarks.masks``.

The vocabulary has the size of Qwen3's, 151,936 tokens, and is made up of what such vocabularies
hold: bytes, words with and without a blank before them, signs, blanks, Chinese. A text is
drawn at random from what each mask leaves, so that the whole grammar is visited. Sampling is core's
numpy reference on one row of float32 logits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from enginebay_core.api import Rule, SampleRow, SamplingParams, sample_row
from enginebay_core.grammar import Matcher, Vocabulary
from enginebay_core.grammar.guidance import Guidance

VOCAB_SIZE: Final = 151_936
STOP: Final = 151_645

SCHEMAS: Final = {
    "any object": {"type": "object"},
    "person": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        },
        "required": ["name", "age", "tags"],
    },
    "bounded strings": {
        "type": "object",
        "properties": {f"field_{i}": {"type": "string", "maxLength": 40} for i in range(8)},
        "required": [f"field_{i}" for i in range(8)],
    },
    "pattern": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[A-Z][a-z]{1,9}-[0-9]+$"},
    },
}


def make_vocabulary() -> Vocabulary:
    draw = random.Random(7)
    tokens: dict[bytes, None] = dict.fromkeys(bytes([number]) for number in range(256))
    for token in itertools.islice(_pieces(draw), 400_000):
        if len(tokens) == STOP:
            break
        tokens.setdefault(token)
    control = range(len(tokens), VOCAB_SIZE)
    spelled = [*tokens, *(f"<|control {number}|>".encode() for number in control)]
    return Vocabulary(tuple(spelled), frozenset(control))


def _pieces(draw: random.Random) -> Iterator[bytes]:
    vowels = ("a", "e", "i", "o", "u", "er", "ing")
    syllables = [one + other for one in "bcdfghjklmnprstvwz" for other in vowels]
    signs = "{}[]\":,.;()<>=+-*/_#@!?'`|&\n\t "
    while True:
        kind, length = draw.random(), draw.randint(1, 4)
        if kind < 0.7:
            word = "".join(draw.choices(syllables, k=length))
            yield draw.choice((word, " " + word, word.title(), " " + word.title())).encode()
        elif kind < 0.85:
            yield "".join(chr(draw.randint(0x4E00, 0x9FA5)) for _ in range(length)).encode()
        else:
            yield "".join(draw.choices(signs, k=length + 1)).encode()


def visit(make: Callable[[], Matcher], steps: int, report: Callable[[str, float], None]) -> None:
    """Random texts, one after another, until there were ``steps``."""
    draw = np.random.default_rng(3)
    logits = draw.standard_normal(VOCAB_SIZE).astype(np.float32)
    params = {"greedy": SamplingParams(temperature=0), "drawn": SamplingParams(seed=1)}
    matcher, said = make(), 0
    for step in range(steps):
        if matcher.complete or said > 200:
            matcher, said = make(), 0
        started = time.perf_counter()
        matcher.fill()
        report("mask", time.perf_counter() - started)
        mask = matcher.mask
        assert mask is not None
        for name, each in params.items() if step % 8 == 0 else ():
            for label, words in ((f"sample, {name}", None), (f"sample masked, {name}", mask)):
                row = SampleRow(0, each, (1,), (), mask=words)
                started = time.perf_counter()
                sample_row(logits, row)
                report(label, time.perf_counter() - started)
        able = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
        token = int(draw.choice(able))
        if token == STOP:
            matcher, said = make(), 0
            continue
        started = time.perf_counter()
        assert matcher.take(token) is None
        report("take", time.perf_counter() - started)
        said += 1


def measure(guidance: Guidance, name: str, steps: int, step_ms: float) -> None:
    rule = Rule("json", json.dumps(SCHEMAS[name]))
    started = time.perf_counter()
    compiled = guidance.compile(rule, after_thinking=False)
    compiled_at = time.perf_counter()
    compiled.deep_copy()
    copied_at = time.perf_counter()
    print(
        f"\n{name}: compiled in {1000 * (compiled_at - started):.1f} ms, "
        f"a sequence's state in {1000 * (copied_at - compiled_at):.2f} ms"
    )
    seen: dict[str, list[float]] = {}
    visit(
        lambda: Matcher(compiled.deep_copy(), VOCAB_SIZE, frozenset({STOP}), None, name),
        steps,
        lambda label, seconds: seen.setdefault(label, []).append(1e6 * seconds),
    )
    for label, times in seen.items():
        mean = np.mean(times)
        print(
            f"  {label:24} min {min(times):7.0f}  median {np.median(times):7.0f}  "
            f"mean {mean:7.0f}  max {max(times):7.0f} us   "
            f"{mean / 10 / step_ms:5.2f} % of {step_ms:g} ms"
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=400)
    arguments.add_argument("--step-ms", type=float, default=100.0, help="a lone decode step")
    asked = arguments.parse_args()
    started = time.perf_counter()
    guidance = Guidance(make_vocabulary())
    print(f"vocabulary and its tree: {time.perf_counter() - started:.2f} s")
    for name in SCHEMAS:
        measure(guidance, name, asked.steps, asked.step_ms)


if __name__ == "__main__":
    main()
