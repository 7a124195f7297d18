"""What a reader of an answer makes of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CallPart:
    """A bit of the tool call ``index``. The first has ``id`` and ``name`` and no arguments, the
    others have nothing but ``arguments``: the next piece of its JSON text.
    """

    index: int
    arguments: str = ""
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What became known of an answer. ``settled`` counts the ids that this settles, as in
    ``Piece``; ``thought`` are the places of those that are no content (thinking, calls, and the
    tags of either), ascending, where 0 is the oldest id that was not settled before. The others
    among them are the oldest that are left. ``thinking`` counts those that are thinking or its
    tags. ``stopped`` says that the answer ends here: a stop
    string was found, or the only call that was allowed is complete.
    """

    content: str = ""
    reasoning: str = ""
    settled: int = 0
    stopped: bool = False
    thought: tuple[int, ...] = ()
    calls: tuple[CallPart, ...] = ()
    thinking: int = 0


class PartsReader(Protocol):
    """One per answer, used by one thread at a time."""

    def push(self, ids: Sequence[int]) -> Part: ...

    def flush(self) -> Part:
        """The answer has ended: release what was held back."""
        ...


def joined(one: Part, other: Part) -> Part:
    """Both, in this order, as one."""
    return Part(
        one.content + other.content,
        one.reasoning + other.reasoning,
        one.settled + other.settled,
        one.stopped or other.stopped,
        one.thought + tuple([one.settled + place for place in other.thought]),
        one.calls + other.calls,
        one.thinking + other.thinking,
    )
