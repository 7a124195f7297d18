"""What a reader of an answer makes of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Part:
    """What became known of an answer. ``settled`` counts the ids that this settles, as in
    ``Piece``; ``stopped`` says that a stop string was found, after which nothing follows.
    """

    content: str = ""
    reasoning: str = ""
    settled: int = 0
    stopped: bool = False


class PartsReader(Protocol):
    """One per answer, used by one thread at a time."""

    def push(self, ids: Sequence[int]) -> Part: ...

    def flush(self) -> Part:
        """The answer has ended: release what was held back."""
        ...
