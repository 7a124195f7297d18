"""What the tokens of an export spell, for engines that make grammars of their own."""

from __future__ import annotations

from pathlib import Path

from enginebay_core.api import EngineBayError
from enginebay_core.grammar import Vocabulary
from enginebay_core.text import hf_tokenizer
from enginebay_core.text.vocabulary import spell_vocabulary


def spell_tokens(export: Path, vocab_size: int) -> Vocabulary | None:
    """By the shared tokenizer, which needs the extra ``[hf]``; None where it cannot read this
    one's. Takes a second or two for a large vocabulary.
    """
    try:
        return spell_vocabulary(hf_tokenizer.load(export), vocab_size)
    except EngineBayError:
        return None
