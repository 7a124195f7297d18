"""The bare forward loop: a contender without HTTP, that takes waves as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import pieces
from tests.benchmarks.processes import Child
from tests.benchmarks.wave import Answered, Ask

from enginebay_server.bench import StreamTimes

_PROGRAM: Final = Path(__file__).parents[1] / "bare_loop.py"


@dataclass(frozen=True)
class Bare:
    """It has loaded."""

    name: str
    child: Child

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        """Raises ChildDied. Every stream starts at once, whatever its ``after_tokens``."""
        return [_answer(stream) for stream in self._ask("run", wave)["streams"]]

    def prepare(self, wave: Sequence[Ask]) -> None:
        self._ask("prepare", wave)

    def _ask(self, verb: str, wave: Sequence[Ask]) -> dict[str, Any]:
        asks = [{"ids": pieces.render(ask.turns), "max_tokens": ask.max_tokens} for ask in wave]
        self.child.say(json.dumps({"verb": verb, "asks": asks}))
        said: dict[str, Any] = json.loads(self.child.hear())
        return said


@contextmanager
def bare(name: str, python: Path, model: Path, log: Path, *, device: str) -> Iterator[Bare]:
    with Child([python, _PROGRAM, model, device], log, pipes=True) as child:
        child.hear()
        yield Bare(name, child)


def _answer(stream: Mapping[str, Any]) -> Answered:
    arrivals = tuple((when, count) for when, count in stream["arrivals"])
    return Answered(StreamTimes(stream["started"], arrivals), pieces.write(stream["ids"]))
