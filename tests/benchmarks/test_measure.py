"""Turns are taken within each repetition, by one contender at a time."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.benchmarks.contender import Contender
from tests.benchmarks.figures import Figures
from tests.benchmarks.measure import Measurement
from tests.benchmarks.processes import Child
from tests.benchmarks.results import Conditions, Measured
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wave import Answered, Ask, ShortAnswer

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@dataclass(frozen=True)
class Sleeper:
    """Answers nothing; what it is asked is written down in ``asked``."""

    name: str
    child: Child
    asked: list[str]

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        self.asked.append(self.name)
        return []

    def prepare(self, wave: Sequence[Ask]) -> None:
        self.asked.append(f"warm {self.name}")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Sleeper]]:
    asked: list[str] = []
    with Child(SLEEP, tmp_path / "a") as one, Child(SLEEP, tmp_path / "b") as two:
        yield [Sleeper("a", one, asked), Sleeper("b", two, asked)]


def scenario(repetitions: int, *, b_fails_at: int | None = None) -> Scenario:
    def run(contender: Contender, wave: Sequence[Ask]) -> Figures:
        contender.run(wave)
        prompts.append(wave[0].turns[0])
        if contender.name == "b" and len(prompts) == b_fails_at:
            raise ShortAnswer("3 tokens came where 4 were asked for")
        return {"rate": float(len(prompts))}

    prompts: list[tuple[int, ...]] = []
    return Scenario("s/1", "t", (20,), 4, repetitions, ("a", "b"), run)


def empty() -> Measured:
    return Measured("t", Conditions("now", "", 1.0))


def test_turns_go_round_within_each_repetition(pair: list[Sleeper]) -> None:
    measured = empty()
    Measurement(pair, 1000).run(scenario(2), measured)
    assert pair[0].asked == ["warm a", "warm b", *["warm a", "a", "warm b", "b"] * 2]
    assert measured.values("a", "rate") == [1, 3]
    assert measured.values("b", "rate") == [2, 4]


def test_who_fails_is_left_out_with_the_reason_and_the_others_go_on(pair: list[Sleeper]) -> None:
    measured = empty()
    Measurement(pair, 1000).run(scenario(3, b_fails_at=4), measured)
    assert [who for who in pair[0].asked if "warm" not in who] == ["a", "b", "a", "b", "a"]
    assert "b" not in measured.runs
    assert measured.missing == {"b": "3 tokens came where 4 were asked for"}
    assert len(measured.runs["a"]) == 3
