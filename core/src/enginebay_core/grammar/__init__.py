"""Keeps outputs to a grammar, over any step engine: masks for the sampler, made by llguidance.

Needs the extra ``[structured]`` when a grammar is compiled, not before.
"""

from enginebay_core.grammar.compiler import GrammarCompiler, Outcome
from enginebay_core.grammar.limits import GrammarLimits
from enginebay_core.grammar.matcher import Matcher
from enginebay_core.grammar.schema import GrammarCheck
from enginebay_core.grammar.vocabulary import Vocabulary

__all__ = [
    "GrammarCheck",
    "GrammarCompiler",
    "GrammarLimits",
    "Matcher",
    "Outcome",
    "Vocabulary",
]
