"""Figures of one wave."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from enginebay_server.bench import StreamTimes, summarise

Figures = Mapping[str, float]
"""By name; rates per second, times in seconds. What could not be measured is not in it."""


def wave_figures(streams: Sequence[StreamTimes]) -> Figures:
    """Of streams that all came whole, from the first request to the last token, prompts too."""
    summary = summarise(streams)
    return _known(
        {
            "tokens_per_second": summary.tokens_per_second,
            "ttft_p50": summary.ttft_p50,
            "ttft_p99": summary.ttft_p99,
            "gap_p50": summary.gap_p50,
            "gap_p99": summary.gap_p99,
        }
    )


def decode_figures(streams: Sequence[StreamTimes]) -> Figures:
    """From the moment when every stream has its first token: no prompt is in them."""
    start, end = max(one.first for one in streams), max(one.ended for one in streams)
    after = [(when, count) for one in streams for when, count in one.arrivals if when > start]
    gaps = [gap for one in streams for gap in waits(one, start, end)]
    return _known(
        {
            "decode_per_second": sum(count for _, count in after) / (end - start)
            if end > start
            else math.nan,
            "gap_p50": statistics.median(gaps) if gaps else math.nan,
        }
    )


def late_figures(streams: Sequence[StreamTimes], late: StreamTimes) -> Figures:
    """What a late prompt does to ``streams``: their median wait for a token before it came, and
    their longest between its arrival and its own first token.
    """
    before = [gap for one in streams for gap in waits(one, 0.0, late.started)]
    meanwhile = [gap for one in streams for gap in waits(one, late.started, late.first)]
    return _known(
        {
            "step": statistics.median(before) if before else math.nan,
            "worst_gap": max(meanwhile, default=math.nan),
            "late_ttft": late.first - late.started,
        }
    )


def waits(times: StreamTimes, start: float, end: float) -> list[float]:
    """Seconds between arrivals, of those waits that overlap the time from ``start`` to ``end``."""
    moments = [when for when, _ in times.arrivals]
    pairs = itertools.pairwise(moments)
    return [late - early for early, late in pairs if late > start and early < end]


def _known(figures: Figures) -> Figures:
    return {name: value for name, value in figures.items() if not math.isnan(value)}
