"""Rules as llguidance's dialect of Lark (its docs/syntax.md)."""

from __future__ import annotations

import json
from typing import Any, Final

from enginebay_core.api import Rule
from enginebay_core.grammar.narrowing import narrow

BLANKS: Final = r"[ ]|\r?\n([ ]{0,16}|\t{1,6})"
"""What may stand between the parts of a JSON text: bounded, or a small model goes on for ever."""

JSON_OPTIONS: Final = {"whitespace_pattern": BLANKS, "lenient": False}

OPTIONS: Final = '%llguidance {"no_forcing": true}'
"""Every way to spell what must come is left to the model, which knows its own best."""

ANY_TEXT: Final = "/(?s:.*)/"
AFTER_THINKING: Final = r'("\n" "\n"?)?'


def write_lark(rule: Rule, *, after_thinking: bool) -> str:
    """A whole grammar, for ``rule`` after the line ends that follow thinking, where there was."""
    writer = _Writer()
    body = writer.write(rule)
    blank = f"{AFTER_THINKING} " if after_thinking else ""
    return "\n".join([OPTIONS, f"start: {blank}{body}", *writer.definitions, ""])


class _Writer:
    """``definitions`` are the rules that need a name of their own."""

    def __init__(self) -> None:
        self.definitions: list[str] = []

    def write(self, rule: Rule) -> str:
        parts = [self.write(part) for part in rule.parts]
        match rule.kind:
            case "json":
                return self._define(f"%json {schema_text(rule.text)}")
            case "free":
                return self._free(rule.text)
            case kind:
                return {
                    "text": quote(rule.text),
                    "control": f"<[{rule.token}]>",
                    "sequence": f"({' '.join(parts) or quote('')})",
                    "choice": f"({' | '.join(parts)})",
                    "repeat": f"({' '.join(parts)})*",
                }[kind]

    def _free(self, end: str) -> str:
        if not end:
            return ANY_TEXT
        return self._define(f"{ANY_TEXT} {quote(end)}", "[lazy]")

    def _define(self, body: str, attributes: str = "") -> str:
        name = f"part_{len(self.definitions)}"
        self.definitions.append(f"{name}{attributes}: {body}")
        return name


def schema_text(schema: str) -> str:
    """On one line, with our options in the place of the client's."""
    parsed: Any = narrow(json.loads(schema))
    if isinstance(parsed, bool):
        parsed = {} if parsed else {"enum": []}
    return json.dumps({**parsed, "x-guidance": JSON_OPTIONS}, ensure_ascii=False)


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
