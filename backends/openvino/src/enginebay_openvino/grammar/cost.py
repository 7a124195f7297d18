"""What a grammar asks of openvino-genai's grammar library, told by its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

LETTERS: Final = 26
"""Characters of a class that count in full: most of a vocabulary begins with letters."""

_PIECE: Final = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\w+|\{[\d,]+\}|\S')
_RANGE: Final = re.compile(r"\\U([0-9a-f]{8})-\\U([0-9a-f]{8})")
_DIGITS: Final = 10


def states(rules: Mapping[str, str]) -> float:
    """States of the rules at which a text may go on with any of many ids. The library looks through
    the vocabulary for each, which takes some 40 ms for 150,000 ids on two cores.
    """
    pieces = {name: _PIECE.findall(body) for name, body in rules.items()}
    leaves = {
        name: _weigh(body, {}) for name, body in pieces.items() if rules.keys().isdisjoint(body)
    }
    return sum(_weigh(body, leaves) for body in pieces.values())


def states_of(text: str) -> float:
    """Of a whole grammar, and 1 for what else it is."""
    rules = [line.partition(" ::= ") for line in text.splitlines()]
    return 1 + states({name: body for name, _, body in rules})


def _weigh(body: Sequence[str], leaves: Mapping[str, float]) -> float:
    """The library writes out leaves wherever they are named; other rules stand by themselves."""
    levels: list[list[float]] = [[]]
    for piece in body:
        if piece == "(":
            levels.append([])
        elif piece == ")":
            inner = sum(levels.pop())
            levels[-1].append(inner)
        elif piece[0] == "{":
            levels[-1][-1] *= int(re.findall(r"\d+", piece)[-1])
        elif piece not in ("|", "*", "+", "?"):
            levels[-1].append(_of_class(piece) if piece[0] == "[" else leaves.get(piece, 0))
    return sum(levels[0])


def _of_class(piece: str) -> float:
    """Less for a class of which few tokens begin with a member."""
    if piece[1] == "^" or "a-z" in piece:
        return 1.0
    ranges = [(int(first, 16), int(last, 16)) for first, last in _RANGE.findall(piece)]
    width = sum(last - first + 1 for first, last in ranges)
    return 0.0 if width <= _DIGITS else min(1.0, width / LETTERS)
