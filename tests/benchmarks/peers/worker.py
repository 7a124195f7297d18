"""A contender without HTTP: a child process that takes waves as lines of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import pieces
from tests.benchmarks.processes import Child, ChildDied
from tests.benchmarks.wave import Answered, Ask

from enginebay_server.bench import StreamTimes

ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True)
class Worker:
    """It has loaded. ``facts`` is what it said of itself: its ``threads``."""

    name: str
    child: Child
    facts: Mapping[str, Any]

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        """Raises ChildDied. Each stream starts at once, whatever its ``after_tokens``."""
        streams = self._ask("run", wave)["streams"]
        return [_answer(stream) for stream in streams]

    def prepare(self, wave: Sequence[Ask]) -> None:
        self._ask("prepare", wave)

    def bandwidth(self) -> float:
        """Bytes per second that its device reads in one stream, as its own threads do it."""
        return float(self._ask("bandwidth", ())["bytes_per_second"])

    def _ask(self, verb: str, wave: Sequence[Ask]) -> dict[str, Any]:
        asks = [{"ids": pieces.render(ask.turns), "max_tokens": ask.max_tokens} for ask in wave]
        pipe = self.child.process.stdin
        assert pipe is not None
        pipe.write(json.dumps({"verb": verb, "asks": asks}) + "\n")
        pipe.flush()
        return _hear(self.child)


@contextmanager
def worker(
    name: str, python: Path, module: str, model: Path, logs: Path, **options: Any
) -> Iterator[Worker]:
    """``tests.benchmarks.workers.MODULE`` with ``options``, loaded."""
    command: list[str | Path] = [python, "-m", f"tests.benchmarks.workers.{module}", model]
    command.append(json.dumps(options))
    sources = [str(ROOT), *(str(path) for path in sorted(ROOT.glob("*/src")))]
    sources += [str(path) for path in sorted(ROOT.glob("*/*/src"))]
    known = os.environ.get("PYTHONPATH", "")
    variables = {"PYTHONPATH": os.pathsep.join([*sources, *filter(None, [known])])}
    with Child(command, logs / f"{name}.log", variables=variables, pipes=True) as child:
        yield Worker(name, child, _hear(child))


def _hear(child: Child) -> dict[str, Any]:
    """Its next line. Raises ChildDied where none comes."""
    pipe = child.process.stdout
    assert pipe is not None
    line = pipe.readline()
    if not line:
        child.process.wait()
        raise ChildDied(f"it ended; the end of {child.log}:\n{child.tail()}")
    said: dict[str, Any] = json.loads(line)
    return said


def _answer(stream: Mapping[str, Any]) -> Answered:
    arrivals = tuple((when, count) for when, count in stream["arrivals"])
    times = StreamTimes(stream["started"], arrivals, error=stream.get("error", ""))
    return Answered(times, pieces.write(stream.get("ids", ())))
