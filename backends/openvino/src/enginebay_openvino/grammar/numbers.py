"""Numbers between two bounds, digit by digit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from enginebay_openvino.grammar.ebnf import choice, literal, sequence

LARGEST = 10**15
"""Where a schema sets no bound: a model may write digits for ever."""

FRACTION = '"." [0-9]{1,9}'


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whole numbers, both in it. ``open_low`` and ``open_high``: the bound itself is allowed no
    more, so that a fraction beside it may not be zero.
    """

    low: int
    high: int

    @staticmethod
    def of(
        minimum: float | None, above: float | None, maximum: float | None, below: float | None
    ) -> Bounds:
        """The whole numbers within all four, of which each may be absent."""
        lows = [] if minimum is None else [math.ceil(minimum)]
        lows += [] if above is None else [math.floor(above) + 1]
        highs = [] if maximum is None else [math.floor(maximum)]
        highs += [] if below is None else [math.ceil(below) - 1]
        low = max(lows) if lows else min([-LARGEST, *highs])
        return Bounds(low, min(highs) if highs else max(LARGEST, low))


def whole(bounds: Bounds) -> str | None:
    """None where there is none."""
    parts = []
    if bounds.low < 0:
        least = max(1, -bounds.high)
        parts += [sequence(['"-"', one]) for one in natural(least, -bounds.low)]
    if bounds.high >= 0:
        parts += natural(max(0, bounds.low), bounds.high)
    return choice(parts) if parts else None


def real(bounds: Bounds) -> str | None:
    """Whole numbers, and fractions between two of them: not those just within a bound that is
    none.
    """
    parts = [part for part in (whole(bounds),) if part]
    if bounds.high > 0 and bounds.high > bounds.low:
        digits = choice(natural(max(0, bounds.low), bounds.high - 1))
        parts.append(sequence([digits, FRACTION]))
    if bounds.low < 0 and bounds.high > bounds.low:
        digits = choice(natural(max(0, -bounds.high), -bounds.low - 1))
        parts.append(sequence(['"-"', digits, FRACTION]))
    return choice(parts) if parts else None


def natural(low: int, high: int) -> list[str]:
    """From ``low`` to ``high``, without leading zeros; empty where ``high`` is less."""
    parts: list[str] = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = min(high, 10**length - 1)
        if first <= last:
            parts.append(choice(_between(str(first), str(last))))
    return parts


def _between(low: str, high: str) -> Iterator[str]:
    """Of the same length."""
    rest = len(low) - 1
    if low == high:
        yield literal(low)
    elif set(low[1:]) <= {"0"} and set(high[1:]) <= {"9"}:
        yield _digits(low[0], high[0], rest)
    elif low[0] == high[0]:
        yield sequence([literal(low[0]), choice(_between(low[1:], high[1:]))])
    else:
        yield sequence([literal(low[0]), choice(_between(low[1:], "9" * rest))])
        if int(high[0]) - int(low[0]) > 1:
            yield _digits(str(int(low[0]) + 1), str(int(high[0]) - 1), rest)
        yield sequence([literal(high[0]), choice(_between("0" * rest, high[1:]))])


def _digits(first: str, last: str, rest: int) -> str:
    head = f"[{first}-{last}]"
    return sequence([head, f"[0-9]{{{rest}}}"]) if rest else head
