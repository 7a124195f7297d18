"""What every id of a tokenizer spells, for grammars."""

from __future__ import annotations

from enginebay_core.api import Tokenizer
from enginebay_core.grammar import Vocabulary
from enginebay_core.text.token_bytes import token_bytes


def spell_vocabulary(tokenizer: Tokenizer, size: int) -> Vocabulary:
    """Of the ids that an engine has logits for. Takes some microseconds for each."""
    tokens = tuple([token_bytes(tokenizer, token) for token in range(size)])
    control = set(tokenizer.control.values())
    hidden = {token for token, text in enumerate(tokens) if _is_hidden(tokenizer, token, text)}
    return Vocabulary(tokens, frozenset(number for number in control | hidden if number < size))


def _is_hidden(tokenizer: Tokenizer, token: int, text: bytes) -> bool:
    """Whether it is left out of every text, as the token for unknown characters is."""
    is_markup = len(text) > 2 and not text[:1].isalnum() and not text[-1:].isalnum()
    return is_markup and bool(text.strip()) and not tokenizer.decode([token])
