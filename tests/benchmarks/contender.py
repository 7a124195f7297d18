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
def alone(contender: Contender, every: Sequence[Contender]) -> Iterator[None]:
    """The others hold still in this block, so that all cores are the contender's."""
    others = [other for other in every if other is not contender]
    for other in others:
        other.child.freeze()
    try:
        yield
    finally:
        for other in others:
            other.child.thaw()
