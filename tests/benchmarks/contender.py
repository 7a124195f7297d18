"""What is compared: anything that answers a wave of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from tests.benchmarks.processes import Child
from tests.benchmarks.wave import Answered, Ask


class Contender(Protocol):
    """Started and ready. ``name`` stands in the tables."""

    @property
    def name(self) -> str: ...

    @property
    def child(self) -> Child: ...

    def run(self, wave: Sequence[Ask]) -> list[Answered]:
        """All answers, in the order of the wave. Failures are in their ``times.error``."""
        ...

    def prepare(self, wave: Sequence[Ask]) -> None:
        """Warm up for waves of this shape, in time that is nobody's."""
        ...


@contextmanager
def awake(contender: Contender) -> Iterator[None]:
    """All contenders are held still but the one whose block this is: it has all cores."""
    contender.child.thaw()
    try:
        yield
    finally:
        contender.child.freeze()
