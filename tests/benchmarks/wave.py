"""Requests that are sent together, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.pieces import draw

from enginebay_server.bench import StreamTimes


@dataclass(frozen=True)
class Ask:
    """One request. ``turns`` are the ids of its messages, user and assistant in turn.

    It is sent at once, or when the first stream of its wave has ``after_tokens`` tokens.
    """

    turns: tuple[tuple[int, ...], ...]
    max_tokens: int
    after_tokens: int = 0


@dataclass(frozen=True)
class Answered:
    """``times`` counts tokens; ``text`` is the answer where the contender tells it."""

    times: StreamTimes
    text: str = ""


class ShortAnswer(Exception):
    """A contender did not make the tokens that were asked for, so its time says nothing."""


def make_wave(
    lengths: Sequence[int], max_tokens: int, vocabulary: int, seed: object
) -> tuple[Ask, ...]:
    """One request per prompt length, all prompts new from their first id on for each ``seed``."""
    return tuple(
        Ask((draw(length, vocabulary, (seed, number)),), max_tokens)
        for number, length in enumerate(lengths)
    )


def require_whole(wave: Sequence[Ask], answers: Sequence[Answered]) -> None:
    """Raises ShortAnswer unless each stream made exactly its tokens."""
    for ask, answer in zip(wave, answers, strict=True):
        times = answer.times
        if times.error:
            raise ShortAnswer(times.error)
        if times.tokens != ask.max_tokens:
            raise ShortAnswer(f"{times.tokens} tokens came where {ask.max_tokens} were asked for")
