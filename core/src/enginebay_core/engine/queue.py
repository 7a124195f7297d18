"""How many may wait for an engine, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """``length`` counts sequences beyond those that have a slot; ``seconds`` is how long each of
    them may wait for its first step. Past either the request ends with Overloaded.
    """

    length: int = 256
    seconds: float = 60.0
