"""A contender behind HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.benchmarks import pieces
from tests.benchmarks.client import ask_all
from tests.benchmarks.processes import Child, ChildDied
from tests.benchmarks.wave import Answered, Ask, make_wave, require_whole

READY: Final = 300.0
"""Seconds until the first answer: loading, and what compiles."""

Command = Callable[[int], Sequence[str | Path]]
"""Makes the command line for a port."""


@dataclass(frozen=True)
class Served:
    """``url`` is the base URL, ``model`` what requests call the model. ``count`` tells how many
    tokens a text has.
    """

    name: str
    child: Child
    url: str
    model: str
    count: Callable[[str], int] = pieces.count

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        """Raises ChildDied where the server has."""
        self.child.require_alive()
        return ask_all(self.url, self.model, wave, self.count)

    def prepare(self, wave: Sequence[Ask]) -> None:
        """As many streams, with short prompts of their own."""
        self.run([replace(ask, turns=(ask.turns[0][:8],), max_tokens=4) for ask in wave])


@contextmanager
def serving(
    name: str, command: Command, model: str, log: Path, count: Callable[[str], int] = pieces.count
) -> Iterator[Served]:
    """Start ``command``, wait for a whole answer, and stop it with the block."""
    port = free_port()
    with Child(command(port), log) as child:
        served = Served(name, child, _url(port), model, count)
        _wait_ready(served)
        yield served


@contextmanager
def listening(name: str, command: Command, model: str, log: Path, cpu: int) -> Iterator[Served]:
    """The same on one core, for a server whose answers are no pieces: wait until it listens."""
    port = free_port()
    with Child(command(port), log, cpus=[cpu]) as child:
        served = Served(name, child, _url(port), model)
        _wait_open(served)
        yield served


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


def _wait_ready(served: Served) -> None:
    """Raises ChildDied, or ShortAnswer with what it last said."""
    ends = time.monotonic() + READY
    while True:
        wave = make_wave([4], 2, vocabulary=64, seed=("ready", time.monotonic()))
        answers = served.run(wave)
        if not answers[0].times.error or time.monotonic() > ends:
            require_whole(wave, answers)
            return
        time.sleep(0.3)


def _wait_open(served: Served) -> None:
    """Raises ChildDied."""
    parts = urlsplit(served.url)
    ends = time.monotonic() + READY
    while time.monotonic() < ends:
        served.child.require_alive()
        try:
            socket.create_connection((str(parts.hostname), int(parts.port or 0))).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise ChildDied(f"nobody listens at {served.url} after {READY:.0f} s")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
