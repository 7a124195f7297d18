"""A contender without HTTP: a loop in a process of its own, that takes waves as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import pieces
from tests.benchmarks.processes import Child
from tests.benchmarks.wave import Answered, Ask

from enginebay_server.bench import StreamTimes


@dataclass(frozen=True)
class Looped:
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


def bare(
    name: str, python: Path, model: Path, log: Path, *, device: str
) -> AbstractContextManager[Looped]:
    """Transformers' forward."""
    return _looped(name, [python, "-m", "tests.benchmarks.bare_loop", model, device], log)


def openvino_pipeline(
    name: str, python: Path, export: Path, log: Path, *, streams: int, length: int
) -> AbstractContextManager[Looped]:
    sizes = [str(streams), str(length)]
    return _looped(name, [python, "-m", "tests.benchmarks.pipeline_loop", export, *sizes], log)


def ort_generate(
    name: str, python: Path, export: Path, log: Path, *, way: str
) -> AbstractContextManager[Looped]:
    return _looped(name, [python, "-m", "tests.benchmarks.ort_loop", export, way], log)


@contextmanager
def _looped(name: str, command: Sequence[str | Path], log: Path) -> Iterator[Looped]:
    with Child(command, log, pipes=True) as child:
        child.hear()
        yield Looped(name, child)


def _answer(stream: Mapping[str, Any]) -> Answered:
    arrivals = tuple((when, count) for when, count in stream["arrivals"])
    return Answered(StreamTimes(stream["started"], arrivals), pieces.write(stream["ids"]))
