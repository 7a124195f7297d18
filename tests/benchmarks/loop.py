"""What all contenders without HTTP are: a program that takes waves as lines of JSON, and answers
each with its times in a line. It imports nothing of EngineBay, so that any Python can run it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Asked:
    """One sequence: prompt ids and how many to make."""

    ids: tuple[int, ...]
    max_tokens: int


@dataclass
class Made:
    """What came of it. Times are of ``time.monotonic``, which all processes of a machine share."""

    started: float
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def add(self, when: float, *ids: int) -> None:
        self.arrivals.append((when, len(ids)))
        self.ids += ids


class Loop(Protocol):
    def prepare(self, asks: Sequence[Asked]) -> None:
        """Warm up for waves of this shape, in time that is nobody's."""
        ...

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        """All of a wave, in its order."""
        ...


def shorter(asks: Sequence[Asked]) -> list[Asked]:
    """As many, but quickly done: to warm up with."""
    return [Asked(ask.ids[:8], 4) for ask in asks]


def answer_waves(make: Callable[[], Loop]) -> None:
    """Until stdin ends. Replies go to the stdout this process began with; prints go to the log."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    loop = make()
    _write(replies, {"ready": True})
    for line in sys.stdin:
        _write(replies, _reply(loop, json.loads(line)))


def _reply(loop: Loop, said: Mapping[str, Any]) -> dict[str, Any]:
    asks = [Asked(tuple(ask["ids"]), ask["max_tokens"]) for ask in said["asks"]]
    if said["verb"] == "prepare":
        loop.prepare(asks)
        return {}
    return {"streams": [vars(made) for made in loop.run(asks)]}


def _write(replies: Any, value: Mapping[str, Any]) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()
