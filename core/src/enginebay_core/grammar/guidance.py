"""llguidance over one model's vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from enginebay_core.api import RequestError, Rule
from enginebay_core.grammar.lark import schema_text, write_lark
from enginebay_core.grammar.schema import json_rules
from enginebay_core.grammar.vocabulary import Vocabulary

if TYPE_CHECKING:
    from llguidance import LLMatcher

LEXER_STATES: Final = 50_000
"""Of one grammar, at one or two kB each: what a compiled grammar's memory is bounded by."""

ROW_ITEMS: Final = 5000
"""What may come at one place: about 1,200 optional properties of an object, whose mask takes 10 ms.
With more, one request's masks would hold up everybody's steps."""

SHOWN: Final = 300
"""Characters of a reason that a client is told."""


class Guidance:
    """Shared by all grammars of a model; any thread may compile."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Takes about a second for 150,000 tokens."""
        from llguidance import (  # noqa: PLC0415 - of the extra [structured]
            LLMatcher,
            LLParserLimits,
            LLTokenizer,
            TokenizerWrapper,
        )

        self.vocab_size = len(vocabulary.tokens)
        if not self.vocab_size:
            raise ValueError("there are no tokens to make masks of")
        tokens = TokenizerWrapper(_Tokens(vocabulary))
        size = self.vocab_size + 1
        self._tokenizer = LLTokenizer(tokens, n_vocab=size, eos_token=self.vocab_size)
        self._limits = LLParserLimits(
            max_lexer_states=LEXER_STATES, max_items_in_row=ROW_ITEMS, verbose_errors=False
        )
        self._matcher = LLMatcher

    def compile(self, rule: Rule, *, after_thinking: bool) -> LLMatcher:
        """At the beginning of ``rule``. Raises RequestError naming the schema at fault."""
        place = ""
        for part in json_rules(rule):
            place = place or part.place
            grammar = self._matcher.grammar_from_json_schema(schema_text(part.text))
            fault = self._matcher.validate_grammar(grammar, limits=self._limits)
            if fault:
                raise unusable(part.place, fault)
        lark = write_lark(rule, after_thinking=after_thinking)
        state = self._matcher(self._tokenizer, lark, log_level=0, limits=self._limits)
        state.compute_bitmask()  # so that the lexer has seen the vocabulary once
        if state.is_error():
            raise unusable(place, state.get_error())
        return state


class _Tokens:
    """What llguidance reads of a tokenizer. Its own end comes after the last id. Control tokens
    are named by their ids alone: what they spell may be nothing, or the same.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        end = len(vocabulary.tokens)
        self.eos_token_id = end
        self.bos_token_id = None
        self.special_token_ids = [*sorted(vocabulary.control), end]
        self.tokens = [*vocabulary.tokens, b""]
        for number in self.special_token_ids:
            self.tokens[number] = f"<|{number}|>".encode()

    def __call__(self, text: Any) -> list[int]:
        """Asked to encode only where tokens are forced ahead of the model, which masks never do."""
        return []


def unusable(place: str, reason: str) -> RequestError:
    words = " ".join(reason.replace("<non-verbose/>", "").split())[:SHOWN]
    return RequestError(f"{place} cannot be kept to: {words}.", param=place or None)
