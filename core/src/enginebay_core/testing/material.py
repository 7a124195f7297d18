"""What the checks feed the engine: ids at random, and prompts that it answers with variety."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from enginebay_core.api import Conversation, Message, RequestError
from enginebay_core.compare.question import TEXTS
from enginebay_core.compare.side import TOP
from enginebay_core.testing.bench import OUTPUT_LENGTH, PROMPT_LENGTH, Bench

VARIED: Final = 8
"""Distinct ids that a witness text of 32 has at least; a text of one repeated id shows no fault."""

CANDIDATES: Final = 22
"""Prompts that are tried, the checks use the best 16."""

OVERLAP_SECONDS: Final = 0.1
MOST_IDS: Final = 512


def random_ids(bench: Bench, count: int, salt: int = 0) -> list[int]:
    """``count`` ids, always the same for the same ``salt``; no control tokens."""
    control = set(bench.tokenizer.control.values())
    draw = np.random.default_rng([salt, 20260107])
    ids = draw.integers(0, bench.limits.vocab_size, size=2 * count + 2 * len(control) + 8)
    return [int(token) for token in ids if int(token) not in control][:count]


def witness_prompts(bench: Bench, count: int) -> list[tuple[int, ...]]:
    """Distinct prompts, those with the most varied greedy answers first."""
    found = bench.kept.get("prompts")
    if found is None:
        found = bench.kept["prompts"] = _rank(bench)
    prompts: list[tuple[int, ...]] = found
    return prompts[:count]


def lasting(bench: Bench) -> int:
    """How many ids an answer must have that others can join while it runs: the engine's thread
    gets far while the event loop waits for its turn.
    """
    (prompt,) = witness_prompts(bench, 1)
    start = time.perf_counter()
    count = len(bench.run(bench.answer(bench.ask(prompt))).ids)
    step = (time.perf_counter() - start) / count
    return min(MOST_IDS, max(OUTPUT_LENGTH, int(OVERLAP_SECONDS / step)))


def _rank(bench: Bench) -> list[tuple[int, ...]]:
    spoken = list(dict.fromkeys(_conversations(bench)))
    candidates = list(dict.fromkeys([*spoken, *_random_prompts(bench, CANDIDATES - len(spoken))]))
    answers = bench.together([bench.ask(prompt) for prompt in candidates])
    variety = {p: len(set(a.ids)) for p, a in zip(candidates, answers, strict=True)}
    ranked = sorted(candidates, key=lambda prompt: -variety[prompt])
    if variety[ranked[0]] < VARIED:
        bench.note(
            f"the most varied greedy answer has {variety[ranked[0]]} distinct ids in "
            f"{OUTPUT_LENGTH}: this model hides faults that another would show"
        )
    return ranked


def _conversations(bench: Bench) -> list[tuple[int, ...]]:
    try:
        return [_render(bench, text) for text in TEXTS]
    except RequestError:  # the model has no chat template
        return [_fit(bench, bench.tokenizer.encode(text)) for text in TEXTS]


def _render(bench: Bench, text: str) -> tuple[int, ...]:
    return _fit(bench, list(bench.tokenizer.render(Conversation((Message("user", text),))).ids))


def _random_prompts(bench: Bench, count: int) -> list[tuple[int, ...]]:
    return [_fit(bench, random_ids(bench, 3 + salt, salt)) for salt in range(count)]


def _fit(bench: Bench, ids: list[int]) -> tuple[int, ...]:
    """The end of the prompt, where the context is short."""
    room = max(1, bench.limits.context_length - OUTPUT_LENGTH)
    return tuple(ids[-min(room, PROMPT_LENGTH) :])


def top_count(bench: Bench) -> int:
    """How many logprobs the backend tells, of those that a client may ask for."""
    limit = bench.subject.capabilities.of("top_logprobs").maximum
    return min(TOP, bench.limits.vocab_size, TOP if limit is None else int(limit))
