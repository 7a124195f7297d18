"""Phrase tables, and how one phrase is chosen from a pattern."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_TABLES = Path(__file__).parent / "phrases"


@cache
def table(name: str) -> Mapping[str, Any]:
    """One TOML file of the phrases folder."""
    return tomllib.loads((_TABLES / f"{name}.toml").read_text(encoding="utf-8"))


def pick(pattern: str, rng: Random) -> str:
    """One of the phrases that a pattern stands for; slots stay."""
    return _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), pattern)


def fill(pattern: str, slots: Mapping[str, Sequence[str]], rng: Random) -> str:
    """Put a word into each slot; `{thing2}` takes a word of `thing` too."""
    return _SLOT.sub(lambda found: rng.choice(slots[found[1].rstrip("2")]), pattern)


@cache
def characters() -> tuple[str, ...]:
    """Every letter beyond ASCII in the tables that training may see."""
    names = ("topics", "unknown", "tools", "manners")
    texts = [(_TABLES / f"{name}.toml").read_text(encoding="utf-8") for name in names]
    return tuple(sorted({char for text in texts for char in text if not char.isascii()}))


def normalise(text: str) -> str:
    """What is left when case, spaces and punctuation do not count."""
    return "".join(char for char in text.casefold() if char.isalnum() or char in "+-*/")
