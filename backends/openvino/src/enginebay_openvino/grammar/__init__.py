"""A request's grammar in the EBNF that openvino-genai's own grammar library, XGrammar, reads."""

from enginebay_openvino.grammar.cost import states_of
from enginebay_openvino.grammar.rules import write_ebnf
from enginebay_openvino.grammar.spelling import Spelling, spelling_of

__all__ = ["Spelling", "spelling_of", "states_of", "write_ebnf"]
