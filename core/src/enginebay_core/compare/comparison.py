"""Two models, the same questions, what came of it, and whether that passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from enginebay_core.api import ModelError, Progress
from enginebay_core.compare.answer import END
from enginebay_core.compare.drift import DriftSummary, summarise
from enginebay_core.compare.question import Question
from enginebay_core.compare.recording import Named, Recording, record
from enginebay_core.compare.tolerance import unseen_noise_bound
from enginebay_core.compare.verdict import Kind, Verdict, judge
from enginebay_core.text import token_bytes


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What still passes. ``tolerance``: how far two honest logits may lie apart, None: by the
    coarser of both precisions. ``allowed``: questions whose answers may differ for real.
    ``min_speed``: B's tokens per second as a share of A's. None elsewhere: no bound.
    """

    tolerance: float | None = None
    allowed: int = 0
    max_mean: float | None = None
    max_kl: float | None = None
    min_speed: float | None = None


@dataclass(frozen=True)
class Comparison:
    """``verdicts`` are in the order of ``questions``; ``tolerance`` is what they were judged by."""

    a: Recording
    b: Recording
    tolerance: float
    questions: tuple[Question, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def counts(self) -> Counter[Kind]:
        return Counter(verdict.kind for verdict in self.verdicts)

    @property
    def drift(self) -> DriftSummary | None:
        """Over all questions; None where one side tells no log probabilities."""
        return summarise(place.drift for one in self.verdicts for place in one.places)

    @property
    def speed(self) -> float | None:
        """B's tokens per second as a share of A's."""
        a, b = self.a.speed.tokens_per_second, self.b.speed.tokens_per_second
        return b / a if a and b else None

    def spell(self, token: int) -> str:
        """A token's text, as A's tokenizer has it."""
        if token == END:
            return "the end"
        return token_bytes(self.a.tokenizer, token).decode(errors="replace")


def compare(
    a: Named,
    b: Named,
    questions: Sequence[Question],
    thresholds: Thresholds,
    progress: Progress,
    *,
    max_tokens: int,
) -> Comparison:
    """A is the one that is known good, B the one that is to replace it; never both in memory.

    Raises ConfigError, PluginError, ModelError or EngineError where there is nothing to compare.
    """
    first = record(a, questions, max_tokens, progress)
    second = record(b, questions, max_tokens, progress, lead=first)
    bounds = [unseen_noise_bound(one.facts) for one in (first, second)]
    tolerance = max(bounds) if thresholds.tolerance is None else thresholds.tolerance
    asked = Comparison(first, second, tolerance, tuple(questions), ())
    pairs = zip(first.answers, second.answers, second.along, strict=True)
    verdicts = tuple(judge(*pair, tolerance, asked.spell) for pair in pairs)
    if all(verdict.kind is Kind.REFUSED for verdict in verdicts):
        raise ModelError(f"there is nothing to compare: {verdicts[0].reason}")
    return replace(asked, verdicts=verdicts)


def objections(found: Comparison, thresholds: Thresholds) -> Iterator[str]:
    """Why B cannot pass for A; nothing where it can. Raises ModelError for a threshold on what
    could not be measured.
    """
    differ = found.counts[Kind.REAL] + found.counts[Kind.UNCLEAR]
    if differ > thresholds.allowed:
        yield (
            f"{differ} of {len(found.verdicts)} answers differ by more than rounding "
            f"({thresholds.allowed} would do)"
        )
    drift = found.drift
    for value, bound, what in (
        (None if drift is None else drift.mean, thresholds.max_mean, "the mean drift"),
        (None if drift is None else drift.kl, thresholds.max_kl, "the mean KL divergence"),
    ):
        if bound is not None and require(value, what, found) > bound:
            yield f"{what} is {value:.3g} ({bound:g} would do)"
    if thresholds.min_speed is not None:
        speed = require(found.speed, "speed", found)
        if speed < thresholds.min_speed:
            yield f"B has {speed:.2f} of A's tokens/s ({thresholds.min_speed:g} would do)"


def require(value: float | None, what: str, found: Comparison) -> float:
    if value is None:
        silence = found.a.silence or found.b.silence or "the answers are too short"
        raise ModelError(f"{what} has a threshold and cannot be measured: {silence}")
    return value
