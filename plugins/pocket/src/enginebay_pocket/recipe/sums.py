"""Arithmetic, as people say it and as a calculator wants it."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from enginebay_pocket.recipe.exchange import Lang

_SIGNS: dict[str, dict[Lang, tuple[str, ...]]] = {
    "+": {"en": ("+", "+", "plus"), "zh": ("+", "+", "加", "加上")},
    "-": {"en": ("-", "-", "minus"), "zh": ("-", "-", "减", "减去")},
    "*": {"en": ("*", "*", "x", "×", "times"), "zh": ("*", "*", "×", "乘以", "乘")},
    "/": {"en": ("/", "/", "÷", "divided by"), "zh": ("/", "/", "÷", "除以")},
}
_APPLY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True)
class Sum:
    """`spoken` is in the question, `expression` goes to the tool, `value` comes back."""

    spoken: str
    expression: str
    value: str


def draw(rng: Random, lang: Lang) -> Sum:
    """A random sum of two or three numbers, sometimes with brackets."""
    signs = [rng.choice("+-*/") for _ in range(rng.choice((1, 1, 1, 2)))]
    terms = [number(rng) for _ in range(len(signs) + 1)]
    spoken_signs = [_spoken(sign, lang, rng) for sign in signs]
    brackets = len(signs) == 2 and rng.random() < 0.4
    spoken = _join(terms, spoken_signs, brackets)
    expression = _join(terms, signs, brackets)
    return Sum(spoken, expression, _value(terms, signs, brackets))


def number(rng: Random) -> str:
    """A number of one to five digits, sometimes with a decimal point."""
    if rng.random() < 0.1:
        return f"{rng.randint(0, 99)}.{rng.randint(1, 9)}{rng.choice(('', '5', '25'))}"
    return str(rng.randint(1, 10 ** rng.choice((1, 2, 2, 2, 3, 3, 4)) - 1))


def _spoken(sign: str, lang: Lang, rng: Random) -> str:
    said = rng.choice(_SIGNS[sign][lang])
    wordy = said.isalpha() and lang == "en"
    return f" {said} " if wordy or rng.random() < 0.5 else said


def _join(terms: list[str], signs: list[str], brackets: bool) -> str:
    parts = [terms[0]] + [sign + term for sign, term in zip(signs, terms[1:], strict=True)]
    if brackets:
        return f"({parts[0]}{parts[1]}){parts[2]}"
    return "".join(parts)


def _value(terms: list[str], signs: list[str], brackets: bool) -> str:
    numbers = [float(term) for term in terms]
    late = len(signs) == 2 and not brackets and signs[0] in "+-" and signs[1] in "*/"
    if late:
        total = _APPLY[signs[0]](numbers[0], _APPLY[signs[1]](numbers[1], numbers[2]))
    else:
        total = numbers[0]
        for sign, term in zip(signs, numbers[1:], strict=True):
            total = _APPLY[sign](total, term)
    return f"{total:.4f}".rstrip("0").rstrip(".")
