"""Figures of a wave, and of the repetitions of a scenario."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from enginebay_server.bench import StreamTimes, summarise

Figures = Mapping[str, float]
"""By name; rates per second, times in seconds."""


@dataclass
class Results:
    """``runs`` has the figures of each repetition, in order, by scenario and contender. What
    failed or was left out is in ``skipped``, by the same two or by contender alone, with the
    reason. ``limit`` is how many tokens per second one stream could have if a step took no longer
    than reading all weights once.
    """

    runs: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    limit: float = math.nan

    def add(self, scenario: str, contender: str, figures: Figures) -> None:
        self.runs.setdefault(scenario, {}).setdefault(contender, []).append(figures)

    def drop(self, scenario: str, contender: str, reason: str) -> None:
        """Forget its repetitions in this scenario: half of them say nothing."""
        self.runs.get(scenario, {}).pop(contender, None)
        self.skipped[f"{scenario}: {contender}"] = reason

    def median(self, scenario: str, contender: str, figure: str) -> float:
        """NaN where it was not measured."""
        return _median(self._values(scenario, contender, figure))

    def ratio(self, scenario: str, ours: str, theirs: str, figure: str) -> float:
        """Median of the ratios within each repetition; NaN where one of them was not measured."""
        pairs = zip(
            self._values(scenario, ours, figure),
            self._values(scenario, theirs, figure),
            strict=False,
        )
        return _median([our / their for our, their in pairs])

    def _values(self, scenario: str, contender: str, figure: str) -> list[float]:
        runs = self.runs.get(scenario, {}).get(contender, [])
        return [run[figure] for run in runs if figure in run]


def wave_figures(streams: Sequence[StreamTimes]) -> Figures:
    """Of streams that all came whole."""
    summary = summarise(streams)
    return {
        "tokens_per_second": summary.tokens_per_second,
        "decode_per_second": decode_rate(streams),
        "ttft_p50": summary.ttft_p50,
        "ttft_p99": summary.ttft_p99,
        "gap_p50": summary.gap_p50,
        "gap_p99": summary.gap_p99,
    }


def decode_rate(streams: Sequence[StreamTimes]) -> float:
    """Tokens per second from the moment when all streams have their first token; NaN where that
    is the end.
    """
    start, end = max(one.first for one in streams), max(one.ended for one in streams)
    after = sum(count for one in streams for when, count in one.arrivals if when > start)
    return after / (end - start) if end > start else math.nan


def worst_gap(streams: Sequence[StreamTimes], late: StreamTimes) -> Figures:
    """What a late prompt does to ``streams``: their longest wait for a token between its arrival
    and its own first token, and their median wait before it came.
    """
    before = [gap for one in streams for gap in _gaps(one, 0.0, late.started)]
    meanwhile = [gap for one in streams for gap in _gaps(one, late.started, late.first)]
    if not (before and meanwhile):
        return {}
    step, worst = statistics.median(before), max(meanwhile)
    return {"step": step, "worst_gap": worst, "worst_over_step": worst / step}


def _gaps(times: StreamTimes, start: float, end: float) -> list[float]:
    """Waits that overlap the time from ``start`` to ``end``, by the token that ends each."""
    moments = [when for when, _ in times.arrivals]
    pairs = itertools.pairwise(moments)
    return [late - early for early, late in pairs if late > start and early < end]


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan
