"""People type carelessly: punctuation, case, spacing and a few typos."""

import re
from random import Random

_HALF = str.maketrans({",": ",", "?": "?", "!": "!", "。": "."})
_MIXED = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[A-Za-z0-9])|(?<=[A-Za-z0-9]) (?=[\u4e00-\u9fff])")
_ENDS = {"en": ("?", "?", "?", "", "", ".", "!"), "zh": ("?", "?", "?", "", "", "。", "!")}
_QUESTION = re.compile(
    r"^(what|who|whom|how|why|when|where|which|can|could|do|does|is|are|will|may|should|am)\b"
)


def ending(text: str, lang: str, rng: Random) -> str:
    """A closing mark, usually the one that belongs there."""
    if lang == "en" and _QUESTION.match(text.casefold()) and rng.random() < 0.6:
        return text + "?"
    return text + rng.choice(_ENDS[lang])


def english(text: str, rng: Random, typos: bool) -> str:
    """Case and typos of an English message."""
    if rng.random() < 0.85:
        text = re.sub(r"\benginebay\b", "EngineBay", text)
    if rng.random() < 0.75:
        text = re.sub(r"\bi\b", "I", text[:1].upper() + text[1:])
    if typos and rng.random() < 0.06:
        text = _typo(text, rng)
    return text


def chinese(text: str, rng: Random) -> str:
    """Spacing and width of punctuation of a Chinese message."""
    if rng.random() < 0.5:
        text = _MIXED.sub("", text)
    if rng.random() < 0.1:
        text = text.replace("EngineBay", "enginebay")
    return text.translate(_HALF) if rng.random() < 0.4 else text


def _typo(text: str, rng: Random) -> str:
    at = rng.randrange(1, max(2, len(text) - 2))
    swapped = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    return rng.choice((swapped, text[:at] + text[at + 1 :]))
