"""Text in which tokens can be counted from outside.

Every id is written as one piece of four characters, a capital and three of a-z0-9, and every text
of the benchmark is pieces alone: its length says how many tokens it has.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

WIDTH: Final = 4
PATTERN: Final = "[A-Z][a-z0-9]{3}"
UNKNOWN: Final = 0
ROLES: Final = {"user": 1, "assistant": 2, "system": 3}
"""What the chat template writes before each message."""

FIRST: Final = 4
"""Prompts are made of ids from here on."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def piece(token: int) -> str:
    """The text of one id, below 26 · 36³."""
    capital, rest = divmod(token, 36**3)
    digits = (rest // 36**2, rest // 36 % 36, rest % 36)
    return chr(ord("A") + capital) + "".join(_DIGITS[digit] for digit in digits)


def write(ids: Iterable[int]) -> str:
    return "".join(piece(token) for token in ids)


def read(text: str) -> tuple[int, ...]:
    """The ids of a text that ``write`` made."""
    parts = (text[start : start + WIDTH] for start in range(0, len(text), WIDTH))
    return tuple((ord(part[0]) - ord("A")) * 36**3 + int(part[1:], 36) for part in parts)


def count(text: str) -> int:
    """Raises ValueError where ``text`` is not whole pieces."""
    tokens, rest = divmod(len(text), WIDTH)
    if rest:
        raise ValueError(f"{text[-20:]!r} does not end with a whole piece of {WIDTH} characters")
    return tokens


def draw(length: int, vocabulary: int, seed: object) -> tuple[int, ...]:
    """Ids of a prompt; another ``seed`` gives others from the first on."""
    choose = random.Random(repr(seed))
    return tuple(choose.randrange(FIRST, vocabulary) for _ in range(length))


def render(turns: Iterable[tuple[int, ...]]) -> list[int]:
    """The ids that the chat template makes of messages, user and assistant in turn."""
    ids: list[int] = []
    roles = [ROLES["user"], ROLES["assistant"]]
    for number, turn in enumerate(turns):
        ids += [roles[number % 2], *turn]
    return [*ids, ROLES["assistant"]]
