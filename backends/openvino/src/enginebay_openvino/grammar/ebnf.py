"""The parts of an EBNF text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
PIECE: Final = 32
"""Repetitions that are written out: the library makes a state of each."""

Ranges = list[tuple[int, int]]
"""Of code points, both ends in it."""


class Ebnf:
    """Collects rules. A rule may be named before it is defined, so that it can name itself. Equal
    ones are one, which the library works through once. ``size`` is that of all bodies, in
    characters.
    """

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self.size = 0

    def name(self) -> str:
        """A new rule's, to be defined later."""
        name = f"part_{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> str:
        self._bodies[name] = body
        self.size += len(body)
        return name

    def rule(self, body: str) -> str:
        """The name of the rule with this body."""
        if body not in self._names:
            self._names[body] = self.define(self.name(), body)
        return self._names[body]

    @property
    def rules(self) -> Mapping[str, str]:
        """Bodies by name."""
        return self._bodies

    def text(self, root: str) -> str:
        rules = [f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self._bodies.items())]
        return "\n".join(rules) + "\n"


def literal(text: str) -> str:
    return '"' + "".join(ESCAPES.get(character, character) for character in text) + '"'


def sequence(parts: Iterable[str]) -> str:
    return f"({' '.join(parts) or literal('')})"


def choice(parts: Iterable[str]) -> str:
    return f"({' | '.join(dict.fromkeys(parts))})"


def characters(ranges: Ranges) -> str:
    """One of these characters."""
    return "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]"


def times(ebnf: Ebnf, what: str, least: int, most: int | None) -> str:
    """``what`` so many times, without end where ``most`` is None."""
    what = what if what.isidentifier() else ebnf.rule(what)
    if most is None:
        return sequence([exactly(ebnf, what, least), f"{what}*"])
    return sequence([exactly(ebnf, what, least), up_to(ebnf, what, most - least)])


def shorten(least: int, most: int | None) -> int | None:
    """Where a quarter less does not matter, a ``most`` that needs no states of its own."""
    if most is None or most - least < 4 * PIECE:
        return most
    return most - (most - least + 1) % PIECE


def exactly(ebnf: Ebnf, what: str, count: int) -> str:
    pieces, rest = divmod(count, PIECE)
    if count <= PIECE:
        return f"{what}{{{count}}}" if count else literal("")
    return sequence([exactly(ebnf, _piece(ebnf, what), pieces), exactly(ebnf, what, rest)])


def up_to(ebnf: Ebnf, what: str, count: int) -> str:
    """In whole pieces, then less than one: there is one way only to read each length."""
    pieces, rest = divmod(count, PIECE)
    if count <= PIECE:
        return f"{what}{{0,{count}}}" if count else literal("")
    piece = _piece(ebnf, what)
    tail = ebnf.rule(f"{what}{{0,{PIECE - 1}}}")
    if rest == PIECE - 1:
        return sequence([up_to(ebnf, piece, pieces), tail])
    fewer = sequence([up_to(ebnf, piece, pieces - 1), tail])
    return choice([fewer, sequence([exactly(ebnf, piece, pieces), f"{what}{{0,{rest}}}"])])


def _piece(ebnf: Ebnf, what: str) -> str:
    return ebnf.rule(f"{what}{{{PIECE}}}")
