"""How much a grammar may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrammarLimits:
    """``bytes`` of one request's JSON Schemas together, ``depth`` of their nesting. Compiling may
    take ``seconds``; ``cached`` compiled grammars are kept for the next request with the same.
    """

    bytes: int = 65_536
    depth: int = 32
    seconds: float = 5.0
    cached: int = 64
