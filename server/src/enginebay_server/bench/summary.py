"""Figures of many answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enginebay_server.bench.times import StreamTimes


@dataclass(frozen=True, slots=True)
class Summary:
    """Rates are per second and times are seconds. ``tokens_per_second`` is of all streams
    together, from the first request to the last token. NaN where nothing was measured.
    """

    answers: int
    tokens: int
    seconds: float
    tokens_per_second: float
    ttft_p50: float
    ttft_p99: float
    gap_p50: float
    gap_p99: float
    errors: Mapping[str, int]


def summarise(streams: Iterable[StreamTimes]) -> Summary:
    """Failed streams are counted by their error and in nothing else."""
    every = list(streams)
    whole = [one for one in every if not one.error and one.arrivals]
    starts, ends = [one.started for one in whole], [one.ended for one in whole]
    seconds = max(ends) - min(starts) if whole else 0.0
    tokens = sum(one.tokens for one in whole)
    ttfts = [one.first - one.started for one in whole]
    gaps = [gap for one in whole for gap in one.gaps]
    return Summary(
        answers=len(whole),
        tokens=tokens,
        seconds=seconds,
        tokens_per_second=tokens / seconds if seconds else math.nan,
        ttft_p50=percentile(ttfts, 50),
        ttft_p99=percentile(ttfts, 99),
        gap_p50=percentile(gaps, 50),
        gap_p99=percentile(gaps, 99),
        errors=dict(Counter(one.error or "no tokens" for one in every if one not in whole)),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Interpolated between neighbours, as numpy's default; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
