"""Contenders are there while a scenario wants them, and no longer."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.contender import Contender
from tests.benchmarks.environments import NoEnvironment
from tests.benchmarks.line_up import LineUp, Start
from tests.benchmarks.processes import Child
from tests.benchmarks.wave import Answered, Ask

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@dataclass(frozen=True)
class Sleeper:
    name: str
    child: Child

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        return []

    def prepare(self, wave: Sequence[Ask]) -> None:
        """Sleeps."""


def sleepers(folder: Path, *names: str) -> dict[str, Start]:
    @contextmanager
    def start(name: str) -> Iterator[Contender]:
        with Child(SLEEP, folder / name) as child:
            yield Sleeper(name, child)

    return {name: lambda name=name: start(name) for name in names}  # type: ignore[misc]


def test_who_is_wanted_again_goes_on_and_others_end(tmp_path: Path) -> None:
    with LineUp(sleepers(tmp_path, "a", "b", "c")) as line_up:
        a, b = line_up.gather({"b", "a"})
        assert (a.name, b.name) == ("a", "b")
        line_up.keep({"b", "c"})
        assert a.child.process.poll() is not None
        again, c = line_up.gather({"c", "b"})
        assert again is b
    assert b.child.process.poll() is not None
    assert c.child.process.poll() is not None


def test_who_cannot_start_is_named_and_not_tried_again(tmp_path: Path) -> None:
    tries: list[str] = []

    def fail() -> Iterator[Contender]:
        tries.append("a")
        raise NoEnvironment("no compiler")
        yield

    starts = {"a": contextmanager(fail), **sleepers(tmp_path, "b")}
    with LineUp(starts) as line_up:
        for _ in range(2):
            assert [one.name for one in line_up.gather({"a", "b"})] == ["b"]
        assert line_up.missing == {"a": "not available: no compiler"}
        assert tries == ["a"]
