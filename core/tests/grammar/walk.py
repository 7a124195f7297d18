"""Grammars by hand: what a matcher allows, and texts at random that it allows."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from enginebay_core.api import EngineBayError, GenerationRequest, Grammar, Rule, ThinkingSpan
from enginebay_core.grammar import GrammarCompiler, GrammarLimits, Matcher, Outcome, Vocabulary

OPEN: Final = 256
CLOSE: Final = 257
STOP: Final = 258
LETTERS: Final = b'hello "world": {1, true}'

BYTES: Final = Vocabulary(
    (
        *(bytes([number]) for number in range(256)),
        *(b"<think>", b"</think>", b"<|im_end|>", b"", b'{"', b'": ', b"\n\n", "红".encode()[:2]),
    ),
    frozenset({OPEN, CLOSE, STOP}),
)
"""Bytes, three control tokens, one id that is no token, and some tokens of several bytes."""


def json_rule(schema: Any, place: str = "schema") -> Rule:
    return Rule("json", json.dumps(schema), place=place)


def text(content: str) -> Rule:
    return Rule("text", content)


def sequence(*parts: Rule) -> Rule:
    return Rule("sequence", parts=parts)


def choice(*parts: Rule) -> Rule:
    return Rule("choice", parts=parts)


def make_compiler(**limits: Any) -> GrammarCompiler:
    return GrammarCompiler(lambda: BYTES, GrammarLimits(**limits))


def opened(
    compiler: GrammarCompiler,
    rule: Rule,
    thinking: ThinkingSpan | None = None,
    stop_ids: frozenset[int] = frozenset({STOP}),
) -> Outcome:
    """Blocks."""
    request = GenerationRequest((1,), 9, stop_ids=stop_ids, grammar=Grammar(rule, thinking))
    found: list[Outcome] = []
    told = threading.Event()

    def done(outcome: Outcome) -> None:
        found.append(outcome)
        told.set()

    compiler.open(request, done)
    assert told.wait(30), "nobody was told"
    return found[0]


def matcher_of(outcome: Outcome) -> Matcher:
    assert isinstance(outcome, Matcher), outcome
    return outcome


def allowed(matcher: Matcher, size: int = len(BYTES.tokens)) -> set[int]:
    matcher.fill()
    assert matcher.mask is not None
    bits = np.unpackbits(matcher.mask.view(np.uint8), bitorder="little")
    assert not bits[size:].any(), "ids outside the vocabulary are allowed"
    return {int(token) for token in np.flatnonzero(bits)}


def follow(matcher: Matcher, ids: Sequence[int]) -> EngineBayError | None:
    """The first fault."""
    for token in ids:
        matcher.fill()
        fault = matcher.take(token)
        if fault is not None:
            return fault
    return None


def wander(
    matcher: Matcher, seed: int, size: int = len(BYTES.tokens), longest: int = 400
) -> list[int]:
    """Ids at random until the grammar ends, those that end something before others: so that texts
    do not grow for ever.
    """
    draw = random.Random(seed)
    ids: list[int] = []
    while not matcher.complete and len(ids) < longest:
        able = sorted(allowed(matcher, size))
        closing = [token for token in able if token in (*b'"}]\n', STOP)]
        token = draw.choice(closing if closing and draw.random() < 0.4 else able)
        if token == STOP:
            return ids
        assert matcher.take(token) is None
        ids.append(token)
    return ids
