"""What a model said to one question, id by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from enginebay_core.api import FinishReason

END: Final = -1
"""Stands for the id that ended an answer where the engine does not tell which it was."""


@dataclass(frozen=True, slots=True)
class Told:
    """The id that a model takes at one place, and the log probabilities that it tells there: of
    that id and of the likeliest. Empty where it tells none.
    """

    id: int
    logprobs: Mapping[int, float] = field(default_factory=dict)

    def lead_over(self, other: int) -> float | None:
        """By how much the id taken is likelier than ``other``, at least. None: nothing was told.
        What is not among the likeliest is no likelier than the last of these.
        """
        own, known = self.logprobs.get(self.id), self.logprobs.get(other)
        if known is None and len(self.logprobs) > 1:
            known = min(self.logprobs.values())
        return None if own is None or known is None else own - known


@dataclass(frozen=True, slots=True)
class Answer:
    """``ids`` are the answer. ``told`` has a place for each, and, where a stop id ended it, one
    more for that.
    """

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    finish: FinishReason
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The model cannot take the question; ``reason`` says why."""

    reason: str


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first index where they differ; the length of the shorter when it begins the other."""
    pairs = zip(one, other, strict=False)
    shorter = min(len(one), len(other))
    return next((index for index, (a, b) in enumerate(pairs) if a != b), shorter)
