"""Calls that are JSON objects, read as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import Final

from enginebay_server.parsers.cursor import BLANKS, Cursor, NotACall, Reading

NAME: Final = "name"
ARGUMENTS: Final = frozenset({"arguments", "parameters"})
_KEYS: Final = ARGUMENTS | {NAME, "id", "type"}
_AFTER_SCALAR: Final = BLANKS | {",", "}", "]"}


def read_call(cursor: Cursor, known: Container[str] | None = None) -> Reading[None]:
    """``{"name": "f", "arguments": {...}}``, its keys in any order, others left out. With
    ``known`` it is no call unless it names one of these, and has no other keys than calls have:
    then an answer in JSON is known for one at its first key.
    """
    name, early = "", ""
    yield from _expect(cursor, "{")
    while True:
        key = yield from _read_key(cursor)
        if known is not None and key not in _KEYS:
            raise NotACall
        if key == NAME and not name:
            name = yield from read_string(cursor)
            if not name or (known is not None and name not in known):
                raise NotACall
        elif key in ARGUMENTS and name and not cursor.calling:
            cursor.begin(name)
            yield from read_arguments(cursor, cursor.arguments)
        elif key in ARGUMENTS and not early:
            pieces: list[str] = []
            yield from read_arguments(cursor, pieces.append)
            early = "".join(pieces)
        else:
            yield from read_value(cursor, lambda _: None)
        if (yield from cursor.blanks()) == "}":
            break
        yield from cursor.expect(",")
    yield from _close(cursor, name, early)


def _close(cursor: Cursor, name: str, early: str) -> Reading[None]:
    yield from cursor.take()
    if not name:
        raise NotACall
    if not cursor.calling:
        cursor.begin(name)
        cursor.arguments(early or "{}")
    cursor.end()


def read_arguments(cursor: Cursor, say: Callable[[str], None]) -> Reading[None]:
    """A call's arguments, as the JSON text that clients parse. Some models put that text into a
    string, or say null for none.
    """
    following = yield from cursor.blanks()
    if following == '"':
        say((yield from read_string(cursor)).strip() or "{}")
    elif following in ("{", "["):
        yield from read_value(cursor, say)
    else:
        pieces: list[str] = []
        yield from read_value(cursor, pieces.append)
        text = "".join(pieces)
        say("{}" if text == "null" else text)


def read_value(cursor: Cursor, say: Callable[[str], None]) -> Reading[None]:
    """Any JSON value, said as it is written. Its end is found by its brackets and quotes alone."""
    following = yield from cursor.blanks()
    if following in ("{", "[", '"'):
        yield from _read_nested(cursor, say)
        return
    if following in _AFTER_SCALAR:
        raise NotACall
    while (yield from cursor.peek()) not in _AFTER_SCALAR:
        say((yield from cursor.character()))


def _read_nested(cursor: Cursor, say: Callable[[str], None]) -> Reading[None]:
    """A line end in a string, which JSON forbids and small models write, is escaped."""
    depth, quoted, escaped = 0, False, False
    while True:
        character = yield from cursor.character()
        say(json.dumps(character)[1:-1] if quoted and character < " " else character)
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
        else:
            quoted = character == '"'
            depth += (character in "{[") - (character in "}]")
        if not quoted and depth <= 0:
            return


def read_string(cursor: Cursor) -> Reading[str]:
    """A JSON string's text."""
    if (yield from cursor.blanks()) != '"':
        yield from _expect(cursor, '"')
    pieces: list[str] = []
    yield from _read_nested(cursor, pieces.append)
    try:
        text = str(json.loads("".join(pieces)))
    except ValueError:
        raise NotACall from None
    return text.encode(errors="replace").decode()  # a lone surrogate is no character


def _read_key(cursor: Cursor) -> Reading[str]:
    key = yield from read_string(cursor)
    yield from _expect(cursor, ":")
    return key


def _expect(cursor: Cursor, text: str) -> Reading[None]:
    yield from cursor.blanks()
    yield from cursor.expect(text)
