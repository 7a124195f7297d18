"""The rules of a request's grammar as EBNF."""

from __future__ import annotations

import json
from typing import Final

from enginebay_core.api import Grammar, Rule
from enginebay_openvino.grammar.ebnf import Ebnf, characters, choice, literal, sequence
from enginebay_openvino.grammar.pattern import others
from enginebay_openvino.grammar.schema import SchemaWriter
from enginebay_openvino.grammar.spelling import control_name

AFTER_THINKING: Final = r'("\n" ("\n")?)?'

NO_TEXT: Final = [(0xD800, 0xEFFF)]
"""Halves of pairs, and what names of control tokens begin with."""


def write_ebnf(grammar: Grammar) -> str:
    """Of what follows thinking that the prompt has begun; thinking that the output may begin is in
    it. Raises RequestError that names the schema's place.
    """
    ebnf = Ebnf()
    body = _Writer(ebnf).write(grammar.rule)
    thinking = grammar.thinking
    if thinking is None:
        return ebnf.text(body)
    if not thinking.begun:
        opening, closing = map(literal, map(control_name, (thinking.opening, thinking.closing)))
        thought = sequence([opening, f"{characters(others(NO_TEXT))}*", closing, AFTER_THINKING])
        return ebnf.text(sequence([choice([thought, literal("")]), body]))
    return ebnf.text(sequence([AFTER_THINKING, body]))


class _Writer:
    def __init__(self, ebnf: Ebnf) -> None:
        self._ebnf = ebnf

    def write(self, rule: Rule) -> str:
        if rule.kind == "json":
            return SchemaWriter(self._ebnf, json.loads(rule.text), rule.place).write()
        if rule.kind == "free":
            return self._free(rule.text)
        parts = [self.write(part) for part in rule.parts]
        return {
            "text": literal(rule.text),
            "control": literal(control_name(rule.token)),
            "sequence": sequence(parts),
            "choice": choice(parts) if parts else literal(""),
            "repeat": f"{sequence(parts)}*",
        }[rule.kind]

    def _free(self, end: str) -> str:
        """Up to the first ``end``: a state for each beginning of it that was just written."""
        if not end:
            return f"{characters(others(NO_TEXT))}*"
        states = [self._ebnf.name() for _ in end]
        for known, state in enumerate(states):
            self._ebnf.define(state, self._after(end, end[:known], states))
        return states[0]

    def _after(self, end: str, written: str, states: list[str]) -> str:
        known = sorted({(ord(one), ord(one)) for one in end})
        branches = [sequence([characters(others([*known, *NO_TEXT])), states[0]])]
        for code, _ in known:
            text = written + chr(code)
            length = next(n for n in range(len(text), -1, -1) if text.endswith(end[:n]))
            following = [states[length]] if length < len(end) else []
            branches.append(sequence([literal(chr(code)), *following]))
        return choice(branches)
