"""Regular expressions of JSON Schemas, as far as a grammar can keep to them."""

from __future__ import annotations

import sys
from typing import Final

from enginebay_openvino.grammar.ebnf import Ebnf, Ranges, characters, choice, sequence, times

CLASSES: Final[dict[str, Ranges]] = {
    "d": [(0x30, 0x39)],
    "w": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    "s": [(0x09, 0x0D), (0x20, 0x20)],
}
CONTROLS: Final = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "0": 0x00}
QUOTE: Final = ord('"')
BACKSLASH: Final = ord("\\")
UNPLAIN: Final[Ranges] = [(0, 0x1F), (QUOTE, QUOTE), (BACKSLASH, BACKSLASH), (0xD800, 0xEFFF)]
"""What does not stand for itself in a JSON string: controls, escapes, halves of pairs, and
what names of control tokens begin with.
"""
MOST: Final = 4096
"""Repetitions."""
DEEPEST: Final = 32


class NotKept(Exception):
    """The pattern says something that is not understood."""


def write_pattern(ebnf: Ebnf, pattern: str) -> str:
    """What stands between the quotes of a JSON string that matches; it begins and ends with the
    match, though a pattern without ``^`` and ``$`` would allow more. Raises NotKept.
    """
    reader = _Reader(ebnf, pattern.removeprefix("^"))
    written = reader.alternatives()
    if not reader.at_end:
        raise NotKept(f"{reader.peek()!r} at {reader.place}")
    return written


class _Reader:
    def __init__(self, ebnf: Ebnf, text: str) -> None:
        self._ebnf = ebnf
        self._text = text
        self.place = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self.place >= len(self._text) or self._text[self.place :] == "$"

    def peek(self) -> str:
        return self._text[self.place : self.place + 1]

    def alternatives(self) -> str:
        parts = [self._sequence()]
        while self.peek() == "|":
            self.place += 1
            parts.append(self._sequence())
        return choice(parts)

    def _take(self) -> str:
        if self.place >= len(self._text):
            raise NotKept("an end too early")
        self.place += 1
        return self._text[self.place - 1]

    def _sequence(self) -> str:
        parts = []
        while not self.at_end and self.peek() not in "|)":
            parts.append(self._repeated(self._atom()))
        return sequence(parts)

    def _atom(self) -> str:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return one_of(self._escaped())
        if character == ".":
            return one_of([(0x0A, 0x0A), (0x0D, 0x0D)], other=True)
        if character in "^$*+?{}":
            raise NotKept(f"{character!r} at {self.place - 1}")
        return one_of([(ord(character), ord(character))])

    def _group(self) -> str:
        if self.peek() == "?":
            if self._text[self.place : self.place + 2] != "?:":
                raise NotKept("a group that is more than a group")
            self.place += 2
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotKept(f"more than {DEEPEST} groups within each other")
        inner = self.alternatives()
        if self._take() != ")":
            raise NotKept("a group without an end")
        self._depth -= 1
        return inner

    def _escaped(self) -> Ranges:
        character = self._take()
        if character in CLASSES:
            return CLASSES[character]
        if character in "DWS":
            return others(CLASSES[character.lower()])
        if character in CONTROLS:
            return [(CONTROLS[character], CONTROLS[character])]
        if character in "xu":
            return [(self._hexadecimal(character),) * 2]
        if character.isalnum():
            raise NotKept(f"'\\{character}'")
        return [(ord(character), ord(character))]

    def _hexadecimal(self, kind: str) -> int:
        digits = "".join(self._take() for _ in range(2 if kind == "x" else 4))
        try:
            return int(digits, 16)
        except ValueError:
            raise NotKept(f"'\\{kind}{digits}'") from None

    def _class(self) -> str:
        other = self.peek() == "^"
        self.place += other
        ranges: Ranges = []
        while (character := self._take()) != "]":
            ranges += self._range(character)
        return one_of(ranges, other=other)

    def _range(self, character: str) -> Ranges:
        first = self._member(character)
        if self.peek() != "-" or self._text[self.place + 1 : self.place + 2] in ("]", ""):
            return first
        self.place += 1
        last = self._member(self._take())
        if len(first) > 1 or len(last) > 1 or first[0][0] > last[0][0]:
            raise NotKept("a range of characters that is none")
        return [(first[0][0], last[0][0])]

    def _member(self, character: str) -> Ranges:
        return self._escaped() if character == "\\" else [(ord(character),) * 2]

    def _repeated(self, what: str) -> str:
        bounds = self._bounds()
        if bounds is None:
            return what
        if self.peek() == "?":  # lazy: the same texts
            self.place += 1
        elif self.peek() and self.peek() in "*+{":
            raise NotKept("a repetition of a repetition")
        return times(self._ebnf, what, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self.peek() in simple:
            return simple[self._take()]
        if self.peek() != "{":
            return None
        end = self._text.find("}", self.place)
        least, comma, most = self._text[self.place + 1 : max(end, self.place)].partition(",")
        if not least.isdecimal() or (most and not most.isdecimal()):
            raise NotKept(f"{{ at {self.place}")
        self.place = end + 1
        last = None if comma and not most else int(most or least)
        if max(int(least), last or 0) > MOST or (last is not None and last < int(least)):
            raise NotKept(f"a repetition of more than {MOST}, or of less than its least")
        return int(least), last


def others(ranges: Ranges) -> Ranges:
    """All characters but these."""
    found, begin = [], 0
    for first, last in sorted([*ranges, (sys.maxunicode + 1, sys.maxunicode + 1)]):
        if begin < first:
            found.append((begin, first - 1))
        begin = max(begin, last + 1)
    return found


def one_of(ranges: Ranges, *, other: bool = False) -> str:
    """As they stand in a JSON string."""
    wanted = others(ranges) if other else ranges
    escaped = [
        literal
        for code, literal in ((QUOTE, r'"\\\""'), (BACKSLASH, r'"\\\\"'))
        if any(first <= code <= last for first, last in wanted)
    ]
    plain = others([*others(wanted), *UNPLAIN])
    if not plain and not escaped:
        raise NotKept("a character that a JSON string escapes")
    return choice([*([characters(plain)] if plain else []), *escaped])
