"""Qwen3-Coder: each argument between tags of its own, which need the tool's schema to be JSON.

``<tool_call><function=f><parameter=a>1</parameter></function></tool_call>``, line ends between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from enginebay_server.parsers.cursor import END, Cursor, NotACall, Reading
from enginebay_server.parsers.syntax import Syntax

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"
FUNCTION: Final = "<function="
PARAMETER: Final = "<parameter="
PARAMETER_END: Final = "</parameter>"
FUNCTION_END: Final = "</function>"
_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}


def _read(cursor: Cursor) -> Reading[None]:
    called = False
    while (tag := (yield from cursor.until(OPEN, CLOSE))) is not END:
        if tag == OPEN:
            called = yield from cursor.attempt(_read_call(cursor))
        elif called:
            cursor.skip()
            called = False
        else:
            cursor.content()


def _read_call(cursor: Cursor) -> Reading[None]:
    yield from cursor.blanks()
    yield from cursor.expect(FUNCTION)
    name = (yield from cursor.text_until(">", "\n")).strip()
    if not name:
        raise NotACall
    yield from cursor.expect(">")
    cursor.begin(name)
    cursor.arguments("{")
    before = ""
    yield from cursor.blanks()
    yield from cursor.expect("<")
    while (yield from cursor.peek()) == "p":
        yield from _read_parameter(cursor, name, before)
        before = ", "
        yield from cursor.blanks()
        yield from cursor.expect("<")
    yield from cursor.expect(FUNCTION_END[1:])
    cursor.arguments("}")
    cursor.end()
    yield from cursor.blanks()
    cursor.skip()


def _read_parameter(cursor: Cursor, function: str, before: str) -> Reading[None]:
    yield from cursor.expect(PARAMETER[1:])
    key = yield from cursor.text_until(">", "\n")
    yield from cursor.expect(">")
    cursor.arguments(f"{before}{_quote(key)}: ")
    if _is_string(cursor.tools.get(function, {}), key):
        cursor.arguments('"')
        yield from _read_text(cursor, lambda text: cursor.arguments(_quote(text)[1:-1]))
        cursor.arguments('"')
    else:
        pieces: list[str] = []
        yield from _read_text(cursor, pieces.append)
        cursor.arguments(_as_json("".join(pieces)))


def _read_text(cursor: Cursor, say: Callable[[str], None]) -> Reading[None]:
    """Up to ``</parameter>``; one line end after the opening and one before the closing is not
    part of it.
    """
    held = ""
    if (yield from cursor.peek()) == "\n":
        yield from cursor.take()
    closing = "\n" + PARAMETER_END
    while not held.endswith(PARAMETER_END):
        held += yield from cursor.character()
        kept = max(_overlap(held, closing), _overlap(held, PARAMETER_END))
        if len(held) > kept:
            say(held[: len(held) - kept])
            held = held[len(held) - kept :]


def _overlap(text: str, closing: str) -> int:
    """How many of the last characters of ``text`` begin, or are, ``closing``."""
    lengths = range(min(len(text), len(closing)), 0, -1)
    return next((length for length in lengths if text.endswith(closing[:length])), 0)


def _is_string(parameters: Mapping[str, Any], key: str) -> bool:
    """Of what is in no schema, only JSON that is no string can tell that it is none."""
    properties = parameters.get("properties")
    schema = properties.get(key) if isinstance(properties, Mapping) else None
    return isinstance(schema, Mapping) and schema.get("type") == "string"


def _as_json(text: str) -> str:
    """JSON as it is written, else a string of it."""
    text = _PYTHON.get(text.strip(), text)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return _quote(text)
    return text


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


QWEN3_CODER: Final = Syntax("qwen3_coder", (OPEN, CLOSE), (OPEN,), _read)
