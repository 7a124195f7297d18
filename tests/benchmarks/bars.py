"""What must be reached, and whether it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.figures import Results
from tests.benchmarks.scenarios import BARE, CONTINUOUS, OURS, SERVE

RATE: Final = "tokens_per_second"


@dataclass(frozen=True)
class Bar:
    """``limit`` is a least value, or with ``at_most`` a greatest."""

    title: str
    limit: float
    value: Callable[[Results], float]
    at_most: bool = False
    unit: str = "×"

    def verdict(self, results: Results) -> str:
        """met, missed or not measured."""
        value = self.value(results)
        if math.isnan(value):
            return "not measured"
        return "met" if (value <= self.limit if self.at_most else value >= self.limit) else "missed"


def cpu_bars() -> list[Bar]:
    return [
        _against(CONTINUOUS, "short/16", 1.25),
        _against(CONTINUOUS, "short/32", 1.5),
        _against(CONTINUOUS, "prompt-300/16", 1.6),
        _against(SERVE, "short/1", 0.97),
        _against(SERVE, "short/4", 3.5),
        *(_against(BARE, f"short/{streams}", 0.92) for streams in (1, 8, 16, 32)),
        *(_against(BARE, f"context-448/{streams}", 0.85) for streams in (1, 8, 16, 32)),
        Bar("32 streams at 448 tokens of context vs at 64, decode alone", 0.6, _long_over_short),
        _ours("second turn's TTFT vs the first's", "second-turn", "second_over_first", 0.15),
        _ours("second turn's TTFT vs a fresh prompt's", "second-turn", "second_over_fresh", 2.0),
        _ours("worst gap vs median step, late prompt", "late-prompt", "worst_over_step", 3.0),
        frames_bar(),
    ]


def gpu_bars() -> list[Bar]:
    return [
        Bar("1 stream vs the bandwidth limit", 0.6, _of_limit),
        _against(CONTINUOUS, "short/32", 3.0),
    ]


def frames_bar() -> Bar:
    return Bar(
        "toy engine, 32 streams, frames per second on one core",
        30_000,
        lambda results: results.median("frames", OURS, "frames_per_second"),
        unit="/s",
    )


def _against(peer: str, scenario: str, limit: float) -> Bar:
    kind, streams = scenario.split("/")
    return Bar(
        f"tokens/s vs {peer}: {kind}, {streams} at once",
        limit,
        lambda results: results.ratio(scenario, OURS, peer, RATE),
    )


def _ours(title: str, scenario: str, figure: str, limit: float) -> Bar:
    return Bar(title, limit, lambda results: results.median(scenario, OURS, figure), at_most=True)


def _long_over_short(results: Results) -> float:
    rates = [
        results.median(f"decode-{length}/32", OURS, "decode_per_second") for length in (448, 64)
    ]
    return rates[0] / rates[1]


def _of_limit(results: Results) -> float:
    return results.median("short/1", OURS, RATE) / results.limit
