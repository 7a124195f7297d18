"""Made-up words and names, so that copying is learnt and no list by heart."""

from collections.abc import Mapping
from functools import cache
from random import Random

from enginebay_pocket.recipe.phrases import characters, table


def invented(rng: Random) -> str:
    """A word in small letters that no list holds."""
    return "".join(_syllable(rng) for _ in range(rng.choice((1, 2, 2, 3))))


def city(lang: str, rng: Random) -> str:
    """The name of a city that does not exist."""
    if lang == "zh":
        return "".join(rng.choice(_ideographs()) for _ in range(rng.choice((2, 2, 2, 3, 4, 5))))
    words = rng.choice((1, 1, 1, 2))
    return " ".join(invented(rng).title() for _ in range(words))


def _syllable(rng: Random) -> str:
    sounds: Mapping[str, list[str]] = table("manners")["sounds"]
    return rng.choice(sounds["onsets"]) + rng.choice(sounds["vowels"]) + rng.choice(sounds["codas"])


@cache
def _ideographs() -> tuple[str, ...]:
    return tuple(char for char in characters() if "\u4e00" <= char <= "\u9fff")
