"""How far two models' probabilities lie apart where both have read the same ids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enginebay_core.compare.answer import Told


@dataclass(frozen=True, slots=True)
class Drift:
    """At one place. ``own``: of the id that the first takes; ``worst``: of any id that one of them
    counts among its likeliest. Both are differences of log probabilities, and at least so large
    where an id is told by one side alone. ``kl``: Kullback-Leibler divergence, over the ids that
    both tell and all others as one.
    """

    own: float
    worst: float
    kl: float


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """Over all ``places`` where both tell: the largest ``worst``, the mean ``own``, the mean and
    the largest ``kl``.
    """

    places: int
    worst: float
    mean: float
    kl: float
    worst_kl: float


def measure(a: Told, b: Told) -> Drift | None:
    """None where one of them tells nothing."""
    if not a.logprobs or not b.logprobs:
        return None
    gaps = [gap(token, a.logprobs, b.logprobs) for token in {*a.logprobs, *b.logprobs}]
    return Drift(gap(a.id, a.logprobs, b.logprobs), max(gaps), divergence(a.logprobs, b.logprobs))


def summarise(drifts: Iterable[Drift | None]) -> DriftSummary | None:
    """None where nothing was measured."""
    known = [drift for drift in drifts if drift is not None]
    if not known:
        return None
    return DriftSummary(
        places=len(known),
        worst=max(drift.worst for drift in known),
        mean=mean([drift.own for drift in known]),
        kl=mean([drift.kl for drift in known]),
        worst_kl=max(drift.kl for drift in known),
    )


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def gap(token: int, one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """What a side does not tell is no likelier than the last that it tells."""
    if token in one and token in other:
        return abs(one[token] - other[token])
    told, floor = (one[token], other) if token in one else (other[token], one)
    return max(0.0, told - min(floor.values())) if len(floor) > 1 else 0.0


def divergence(p: Mapping[int, float], q: Mapping[int, float]) -> float:
    common = p.keys() & q.keys()
    shares = [(math.exp(p[token]), math.exp(q[token])) for token in common]
    rest = (1 - math.fsum(a for a, _ in shares), 1 - math.fsum(b for _, b in shares))
    tiny = 1e-12  # what rounding leaves of a rest that is nothing
    terms = [a * math.log(max(a, tiny) / max(b, tiny)) for a, b in [*shares, rest] if a > tiny]
    return max(0.0, math.fsum(terms))
