"""What is measured, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.benchmarks import pieces
from tests.benchmarks.contender import Contender
from tests.benchmarks.figures import Figures, wave_figures, worst_gap
from tests.benchmarks.peers import Served
from tests.benchmarks.wave import Answered, Ask, make_wave, require_whole

OURS: Final = "EngineBay"
CONTINUOUS: Final = "transformers serve, continuous batching"
SERVE: Final = "transformers serve"
LLAMA: Final = "llama-cpp-python server"
BARE: Final = "bare forward loop"
ENGINE: Final = "EngineBay without HTTP"

SHORT: Final = 31
LONG: Final = 448
HISTORY: Final = 2000
NEW_TURN: Final = 32
CROWD: Final = 8

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


def full_scenarios() -> list[Scenario]:
    everyone = (OURS, CONTINUOUS, SERVE, LLAMA, BARE)
    batched = (OURS, CONTINUOUS, BARE, ENGINE)
    return [
        _short(1, 64, 5, everyone),
        _short(4, 64, 3, everyone),
        *(_short(streams, 64, 3, batched) for streams in (8, 16, 32)),
        _plain("prompt-300", 16, 300, 64, 3, (OURS, CONTINUOUS, BARE)),
        *(_plain("context-448", n, LONG, 64, 3, (OURS, BARE)) for n in (1, 8, 16, 32)),
        *(_decode(32, length, 64, 3, (OURS, BARE)) for length in (64, LONG)),
        _skewed(64, 3),
        _second_turn(5),
        _late_prompt(5),
    ]


def quick_scenarios() -> list[Scenario]:
    """The same prompts, fewer tokens and repetitions."""
    return [
        _short(1, 32, 3, (OURS, CONTINUOUS, SERVE, LLAMA, BARE)),
        _short(4, 32, 2, (OURS, CONTINUOUS, SERVE, BARE)),
        _short(8, 32, 2, (OURS, BARE)),
        *(_short(streams, 32, 3, (OURS, CONTINUOUS, BARE)) for streams in (16, 32)),
        _plain("prompt-300", 16, 300, 32, 2, (OURS, CONTINUOUS)),
        _second_turn(2),
        _late_prompt(2),
    ]


def _short(streams: int, max_tokens: int, repetitions: int, who: tuple[str, ...]) -> Scenario:
    return _plain("short", streams, SHORT, max_tokens, repetitions, who)


def _plain(  # noqa: PLR0917 - a row of a table
    name: str, streams: int, length: int, max_tokens: int, repetitions: int, who: tuple[str, ...]
) -> Scenario:
    title = f"{streams} × ({length} prompt tokens + {max_tokens})"
    lengths = (length,) * streams
    return Scenario(f"{name}/{streams}", title, lengths, max_tokens, repetitions, who, whole_wave)


def _decode(
    streams: int, length: int, max_tokens: int, repetitions: int, who: tuple[str, ...]
) -> Scenario:
    title = f"{streams} × {max_tokens} tokens after {length} that are in the cache"
    lengths = (length,) * streams
    return Scenario(
        f"decode-{length}/{streams}", title, lengths, max_tokens, repetitions, who, decode_only
    )


def _skewed(max_tokens: int, repetitions: int) -> Scenario:
    lengths = (HISTORY, *(64,) * 31)
    title = f"1 × {HISTORY} and 31 × 64 prompt tokens + {max_tokens} each"
    who = (OURS, CONTINUOUS)
    return Scenario("skewed/32", title, lengths, max_tokens, repetitions, who, whole_wave)


def _second_turn(repetitions: int) -> Scenario:
    title = f"second turn of a chat with {HISTORY} tokens of history"
    return Scenario("second-turn", title, (HISTORY,), 16, repetitions, (OURS,), second_turn)


def _late_prompt(repetitions: int) -> Scenario:
    title = f"a prompt of {HISTORY} tokens arrives while {CROWD} answers are made"
    lengths = (*(SHORT,) * CROWD, HISTORY)
    return Scenario("late-prompt", title, lengths, 128, repetitions, (OURS,), late_prompt)


def whole_wave(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """All at once, from the first request to the last token: prompts are paid for."""
    return wave_figures([answer.times for answer in _ask(contender, wave)])


def decode_only(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """A server is asked for the prompts first, and then to go on: what is timed begins when every
    stream has its first token, as in the bare loop.
    """
    if isinstance(contender, Served):
        opened = _ask(contender, [Ask(ask.turns, 1) for ask in wave])
        wave = [_go_on(ask, answer) for ask, answer in zip(wave, opened, strict=True)]
    return wave_figures([answer.times for answer in _ask(contender, wave)])


def second_turn(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """Times to the first token of a long first turn, of a short second one that follows it, and
    of a chat that has only the second one's new tokens.
    """
    [first] = wave
    [opened] = _ask(contender, [first])
    follows = _go_on(first, opened, NEW_TURN)
    [followed] = _ask(contender, [follows])
    fresh = Ask((tuple(reversed(follows.turns[-1])),), first.max_tokens)
    [lone] = _ask(contender, [fresh])
    ttft = [one.times.first - one.times.started for one in (opened, followed, lone)]
    return {
        "first_ttft": ttft[0],
        "second_ttft": ttft[1],
        "fresh_ttft": ttft[2],
        "second_over_first": ttft[1] / ttft[0],
        "second_over_fresh": ttft[1] / ttft[2],
    }


def late_prompt(contender: Contender, wave: Sequence[Ask]) -> Figures:
    """The last of the wave comes when the others are at a quarter of their answers."""
    *crowd, last = wave
    late = Ask(last.turns, 2, after_tokens=last.max_tokens // 4)
    *answers, answer = _ask(contender, [*crowd, late])
    return worst_gap([one.times for one in answers], answer.times)


def _ask(contender: Contender, wave: Sequence[Ask]) -> list[Answered]:
    """Raises ShortAnswer unless all came whole."""
    answers = contender.run(wave)
    require_whole(wave, answers)
    return answers


def _go_on(ask: Ask, answer: Answered, new: int = 1) -> Ask:
    """The next turn of the same chat, of ``new`` tokens."""
    return Ask((*ask.turns, pieces.read(answer.text), ask.turns[0][-new:]), ask.max_tokens)
