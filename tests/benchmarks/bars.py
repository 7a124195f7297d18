"""What must be reached, and whether it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from tests.benchmarks.names import (
    ASGI,
    BARE,
    BRIEF,
    CONTINUOUS,
    INLINE,
    ONNX,
    ONNX_INLINE,
    OPENVINO,
    OPENVINO_INLINE,
    ORT_BATCH,
    ORT_LONE,
    OURS,
    PIPELINE,
    SERVE,
    TOY,
    TOY_INLINE,
)
from tests.benchmarks.results import Place, Results

RATE: Final = "tokens_per_second"
DECODE: Final = "decode_per_second"
FRAMES: Final = "frames_per_second"
TTFT: Final = "ttft_p50"


@dataclass(frozen=True)
class Bar:
    """``limit`` is for the ratio of ``ours`` to ``theirs``, or for what else ``of`` says: ours less
    theirs, or our figure itself, and theirs only stands beside it. It is the least, or with
    ``at_most`` the greatest. Without ``theirs`` we are held against memory's bandwidth.
    """

    title: str
    limit: float
    ours: Place
    theirs: Place | None
    at_most: bool = False
    of: Literal["ratio", "difference", "figure"] = "ratio"

    def peer(self, results: Results) -> float:
        return results.limit if self.theirs is None else results.median(self.theirs)

    def ratio(self, results: Results) -> float:
        if self.theirs is None:
            return results.median(self.ours) / results.limit
        return results.ratio(self.ours, self.theirs)

    def value(self, results: Results) -> float:
        """What ``limit`` is for."""
        if self.of == "figure":
            return results.median(self.ours)
        if self.of == "difference" and self.theirs is not None:
            return results.difference(self.ours, self.theirs)
        return self.ratio(results)

    def verdict(self, results: Results) -> str:
        """held, missed or not measured."""
        value = self.value(results)
        if math.isnan(value):
            return "not measured"
        return (
            "held" if (value <= self.limit if self.at_most else value >= self.limit) else "missed"
        )


def cpu_bars() -> list[Bar]:
    return [
        _against(CONTINUOUS, "short/16", RATE, 1.25),
        _against(CONTINUOUS, "short/32", RATE, 1.5),
        _against(CONTINUOUS, "prompt-300/16", RATE, 1.6),
        _against(SERVE, "short/1", RATE, 0.97),
        _against(SERVE, "short/4", RATE, 3.5),
        *(_against(BARE, f"short/{streams}", RATE, 0.92) for streams in (1, 8, 16, 32)),
        *(_against(BARE, f"context-448/{streams}", DECODE, 0.85) for streams in (1, 8, 16, 32)),
        Bar(
            "decoding 32 streams at 448 tokens of context, at 64",
            0.6,
            Place("context-448/32", OURS, DECODE),
            Place("context-64/32", OURS, DECODE),
        ),
        _within(
            "second turn's TTFT, the first's", "second-turn", "second_ttft", "first_ttft", 0.15
        ),
        _within("second turn's TTFT, a new chat's", "second-turn", "second_ttft", "fresh_ttft", 2),
        _within("worst gap, median step: late prompt", "late-prompt", "worst_gap", "step", 3),
        Bar(
            "toy engine, 32 streams, one core: frames/s",
            30_000,
            Place("frames", OURS, FRAMES),
            Place("frames", ASGI, FRAMES),
            of="figure",
        ),
        *engine_bars(),
        *placement_bars(),
    ]


def engine_bars() -> list[Bar]:
    return [
        *(_against(PIPELINE, f"openvino/{n}", RATE, 0.95, OPENVINO) for n in (1, 8, 32)),
        _against(CONTINUOUS, "openvino/1", RATE, 1.7, OPENVINO),
        _against(CONTINUOUS, "openvino/32", RATE, 2.5, OPENVINO),
        _against(ORT_LONE, "onnx/8", RATE, 2, ONNX),
        _against(ORT_BATCH, "onnx/8", RATE, 1, ONNX),
    ]


def placement_bars() -> list[Bar]:
    """A process of its own beside inline."""
    alone = "placement/toy-1"
    return [
        _placed("transformers-8", BRIEF, INLINE),
        _placed("openvino-8", OPENVINO, OPENVINO_INLINE),
        _placed("onnx-8", ONNX, ONNX_INLINE),
        _placed("toy-32", TOY, TOY_INLINE),
        Bar(
            "TTFT of a lone request on the paced toy",
            0.002,
            Place(alone, TOY, TTFT),
            Place(alone, TOY_INLINE, TTFT),
            at_most=True,
            of="difference",
        ),
    ]


def cuda_bars() -> list[Bar]:
    return [
        Bar("tokens/s of 1 stream, memory's limit", 0.6, Place("short/1", OURS, RATE), None),
        _against(CONTINUOUS, "short/32", RATE, 3.0),
    ]


def _against(peer: str, scenario: str, figure: str, limit: float, contender: str = OURS) -> Bar:
    kind, _, streams = scenario.partition("/")
    what = "decoding tokens/s" if figure == DECODE else "tokens/s"
    title = f"{what}: {kind}, {streams} streams"
    return Bar(title, limit, Place(scenario, contender, figure), Place(scenario, peer, figure))


def _within(title: str, scenario: str, figure: str, other: str, limit: float) -> Bar:
    """Two of our own figures."""
    ours, theirs = Place(scenario, OURS, figure), Place(scenario, OURS, other)
    return Bar(title, limit, ours, theirs, at_most=True)


def _placed(name: str, process: str, inline: str) -> Bar:
    engine, _, streams = name.partition("-")
    title = f"tokens/s in a process of its own: {engine}, {streams} streams"
    scenario = f"placement/{name}"
    return Bar(title, 0.95, Place(scenario, process, RATE), Place(scenario, inline, RATE))
