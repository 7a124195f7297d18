"""Prompts that no server has seen before, so that no cache helps."""

from __future__ import annotations

import random
from typing import Final

WORDS: Final = (  # noqa: SIM905 - a hundred lines otherwise
    "time year people way day man thing woman life child world school state family student group "
    "country problem hand part place case week company system program question work night point "
    "home water room mother area money story fact month lot right study book eye job word business "
    "issue side kind head house service friend father power hour game line end member law car city "
    "name team minute idea body back face door reason history party result change morning level"
).split()
"""Common words, each one token in most vocabularies."""


def make_prompt(words: int, seed: object) -> str:
    """About one token a word, other words from the first on for each ``seed``."""
    choose = random.Random(repr(seed))  # noqa: S311 - no secret, only a different text each time
    return " ".join(choose.choices(WORDS, k=words))
