"""What is measured, with whom, and how often."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.benchmarks import pieces
from tests.benchmarks.contender import Contender
from tests.benchmarks.figures import Figures, decode_figures, late_figures, wave_figures
from tests.benchmarks.names import (
    BARE,
    BRIEF,
    CONTINUOUS,
    INLINE,
    LLAMA,
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
from tests.benchmarks.peers import Served
from tests.benchmarks.wave import Answered, Ask, make_wave, require_whole

SHORT: Final = 31
LONG: Final = 448
HISTORY: Final = 2000
NEW_TURN: Final = 32
CROWD: Final = 8
LONE: Final = 50
"""Requests, one after another, whose median time to the first token is one figure."""

Run = Callable[[Contender, Sequence[Ask]], Figures]


@dataclass(frozen=True)
class Scenario:
    """``lengths`` are those of the prompts, one per stream. ``run`` makes the figures of one
    repetition out of a wave of such prompts.
    """

    name: str
    title: str
    lengths: tuple[int, ...]
    max_tokens: int
    repetitions: int
    contenders: tuple[str, ...]
    run: Run

    def wave(self, vocabulary: int, seed: object) -> tuple[Ask, ...]:
        return make_wave(self.lengths, self.max_tokens, vocabulary, (self.name, seed))


@dataclass(frozen=True)
class Size:
    """How much of everything: tokens per answer, and repetitions of waves, of small ones, which
    take seconds and vary most, and of lone prompts.
    """

    tokens: int
    repetitions: int
    small: int
    lone: int

    def waves(self, kind: str, streams: int, length: int, *who: str) -> Scenario:
        title = f"{streams} × ({length} prompt tokens + {self.tokens} tokens)"
        return self._scenario(f"{kind}/{streams}", title, (length,) * streams, who, whole_wave)

    def decoding(self, streams: int, length: int, *who: str) -> Scenario:
        title = f"decoding {streams} × {self.tokens} tokens after a prompt of {length}"
        name = f"context-{length}/{streams}"
        return self._scenario(name, title, (length,) * streams, who, decode_only)

    def skewed(self, *who: str) -> Scenario:
        title = f"1 prompt of {HISTORY} tokens and 31 of 64, + {self.tokens} tokens each"
        return self._scenario("skewed/32", title, (HISTORY, *(64,) * 31), who, whole_wave)

    def second_turn(self, *who: str) -> Scenario:
        title = f"the second turn of a chat with {HISTORY} tokens of history"
        return Scenario("second-turn", title, (HISTORY,), 16, self.lone, who, second_turn)

    def late_prompt(self, *who: str) -> Scenario:
        title = f"a prompt of {HISTORY} tokens arrives while {CROWD} answers are made"
        lengths = (*(SHORT,) * CROWD, HISTORY)
        return Scenario("late-prompt", title, lengths, 128, self.lone, who, late_prompt)

    def placed(self, engine: str, streams: int, *who: str) -> Scenario:
        """``who`` are two of ours, of which only the placement differs."""
        title = f"placements, {engine}: {streams} × ({SHORT} prompt tokens + {self.tokens} tokens)"
        name = f"placement/{engine}-{streams}"
        return self._scenario(name, title, (SHORT,) * streams, who, placed_wave)

    def placed_alone(self, engine: str, *who: str) -> Scenario:
        title = f"placements, {engine}: {LONE} requests, one after another"
        name, lengths = f"placement/{engine}-1", (SHORT,) * LONE
        return Scenario(name, title, lengths, 2, self.repetitions, who, one_by_one)

    def _scenario(
        self, name: str, title: str, lengths: tuple[int, ...], who: tuple[str, ...], run: Run
    ) -> Scenario:
        repetitions = self.small if len(lengths) <= CROWD else self.repetitions
        return Scenario(name, title, lengths, self.tokens, repetitions, who, run)


def cpu_scenarios() -> list[Scenario]:
    size = Size(tokens=64, repetitions=3, small=7, lone=5)
    return [
        size.waves("short", 1, SHORT, OURS, SERVE, CONTINUOUS, LLAMA, BARE),
        size.waves("short", 4, SHORT, OURS, SERVE, CONTINUOUS, LLAMA, BARE),
        *(size.waves("short", n, SHORT, OURS, CONTINUOUS, BARE) for n in (8, 16, 32)),
        size.waves("prompt-300", 16, 300, OURS, CONTINUOUS, BARE),
        size.skewed(OURS, CONTINUOUS),
        size.second_turn(OURS, CONTINUOUS),
        size.late_prompt(OURS, CONTINUOUS),
        size.decoding(32, 64, OURS),
        *(size.decoding(n, LONG, OURS, BARE) for n in (1, 8, 16, 32)),
        size.placed("transformers", 8, BRIEF, INLINE),
        *(size.waves("openvino", n, SHORT, OPENVINO, CONTINUOUS, PIPELINE) for n in (1, 8, 32)),
        size.placed("openvino", 8, OPENVINO, OPENVINO_INLINE),
        replace(size, tokens=32).waves("onnx", 8, SHORT, ONNX, ORT_LONE, ORT_BATCH),
        size.placed("onnx", 8, ONNX, ONNX_INLINE),
        *toy_placements(size),
    ]


def toy_placements(size: Size) -> list[Scenario]:
    """Its steps take 20 ms, which a placement cannot make shorter: all else can be seen."""
    return [
        replace(size, tokens=256).placed("toy", 32, TOY, TOY_INLINE),
        size.placed_alone("toy", TOY, TOY_INLINE),
    ]


def quick_scenarios() -> list[Scenario]:
    """The same prompts, half of the tokens, fewer repetitions; the longest ones are left out."""
    size = Size(tokens=32, repetitions=2, small=2, lone=2)
    return [
        size.waves("short", 1, SHORT, OURS, SERVE, CONTINUOUS, LLAMA, BARE),
        size.waves("short", 8, SHORT, OURS, CONTINUOUS, BARE),
        size.waves("short", 32, SHORT, OURS, CONTINUOUS),
        size.second_turn(OURS),
        size.late_prompt(OURS),
        size.placed("transformers", 8, BRIEF, INLINE),
        *(size.waves("openvino", n, SHORT, OPENVINO, CONTINUOUS, PIPELINE) for n in (1, 8)),
        replace(size, tokens=16).waves("onnx", 8, SHORT, ONNX, ORT_LONE, ORT_BATCH),
        *toy_placements(size),
    ]


def cuda_scenarios() -> list[Scenario]:
    size = Size(tokens=128, repetitions=3, small=3, lone=3)
    return [
        *(size.waves("short", n, SHORT, OURS, CONTINUOUS) for n in (1, 4, 8, 16, 32)),
        size.waves("prompt-300", 16, 300, OURS, CONTINUOUS),
        size.skewed(OURS, CONTINUOUS),
        size.second_turn(OURS, CONTINUOUS),
        size.late_prompt(OURS, CONTINUOUS),
        size.decoding(32, 64, OURS),
        size.decoding(32, LONG, OURS),
    ]


def whole_wave(contender: Contender, wave: Sequence[Ask]) -> Figures:
    return wave_figures([answer.times for answer in _ask(contender, wave)])


def placed_wave(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """And what the processors of all its processes did, its engine's work included."""
    before = contender.child.cpu_seconds()
    figures = whole_wave(contender, wave)
    spent = contender.child.cpu_seconds() - before
    return {**figures, "cpu_per_token": spent / sum(ask.max_tokens for ask in wave)}


def one_by_one(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """The median time to the first token of requests that are alone."""
    times = [answer.times for ask in wave for answer in _ask(contender, [ask])]
    return {"ttft_p50": statistics.median(one.first - one.started for one in times)}


def decode_only(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """A server is asked for one token of each prompt first, and then to go on: it has the prompts
    in its cache, so that all streams begin together, as they do in the bare loop.
    """
    if isinstance(contender, Served):
        opened = _ask(contender, [Ask(ask.turns, 1) for ask in wave])
        wave = [_go_on(ask, answer) for ask, answer in zip(wave, opened, strict=True)]
    return decode_figures([answer.times for answer in _ask(contender, wave)])


def second_turn(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """Times to the first token of a long first turn, of a short second one that follows it, and
    of a new chat that has only as many tokens as the second turn added.
    """
    [first] = wave
    [opened] = _ask(contender, [first])
    follows = _go_on(first, opened, NEW_TURN)
    [followed] = _ask(contender, [follows])
    fresh = Ask((tuple(reversed(follows.turns[-1])),), first.max_tokens)
    [lone] = _ask(contender, [fresh])
    ttft = [one.times.first - one.times.started for one in (opened, followed, lone)]
    return dict(zip(("first_ttft", "second_ttft", "fresh_ttft"), ttft, strict=True))


def late_prompt(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """The last of the wave comes when the others are at a quarter of their answers."""
    *crowd, last = wave
    late = Ask(last.turns, 2, after_tokens=last.max_tokens // 4)
    *answers, answer = _ask(contender, [*crowd, late])
    return late_figures([one.times for one in answers], answer.times)


def _ask(contender: Contender, wave: Sequence[Ask]) -> list[Answered]:
    """Raises ShortAnswer unless all came whole."""
    answers = contender.run(wave)
    require_whole(wave, answers)
    return answers


def _go_on(ask: Ask, answer: Answered, new: int = 1) -> Ask:
    """The next turn of the same chat, of ``new`` tokens."""
    return Ask((*ask.turns, pieces.read(answer.text), ask.turns[0][-new:]), ask.max_tokens)
