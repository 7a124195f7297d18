"""Mistral: ``[TOOL_CALLS]``, then a list of JSON objects, or a name and its arguments.

Tokenizers v2 to v7: ``[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]``; from v11 on, once for
each call: ``[TOOL_CALLS]f[ARGS]{"a": 1}``, in some with ``[CALL_ID]`` and an id before ``[ARGS]``.
"""

from __future__ import annotations

from typing import Final

from enginebay_server.parsers.call_form import CallForm
from enginebay_server.parsers.cursor import END, Cursor, NotACall, Reading
from enginebay_server.parsers.json_call import read_arguments, read_call
from enginebay_server.parsers.syntax import Syntax

CALLS: Final = "[TOOL_CALLS]"
CALL_ID: Final = "[CALL_ID]"
ARGS: Final = "[ARGS]"


def _read(cursor: Cursor) -> Reading[None]:
    while (yield from cursor.until(CALLS)) is not END:
        listed = (yield from cursor.blanks()) == "["
        call = _read_list(cursor) if listed else _read_named(cursor)
        yield from cursor.attempt(call)


def _read_list(cursor: Cursor) -> Reading[None]:
    """After ``[`` and after each ``,`` one call."""
    while (yield from cursor.blanks()) in ("[", ","):
        yield from cursor.take()
        yield from read_call(cursor)
    yield from cursor.expect("]")
    cursor.skip()


def _read_named(cursor: Cursor) -> Reading[None]:
    name = (yield from cursor.text_until(CALL_ID, ARGS, "{", "\n")).strip()
    if not name:
        raise NotACall
    if (yield from cursor.peek()) == CALL_ID:
        yield from cursor.take()
        yield from cursor.text_until(ARGS)
    if (yield from cursor.peek()) == ARGS:
        yield from cursor.take()
    if (yield from cursor.blanks()) != "{":
        yield from cursor.expect("{")
    cursor.begin(name)
    yield from read_arguments(cursor, cursor.arguments)
    cursor.end()


LISTED: Final = CallForm(
    opening=CALLS + " [",
    before='{"name": "',
    between='", "arguments": ',
    after="}",
    separator=", ",
    closing="]",
)
NAMED: Final = CallForm(before=CALLS, between=ARGS, after="")

MISTRAL: Final = Syntax("mistral", (CALLS, CALL_ID, ARGS), (CALLS,), _read, (LISTED, NAMED))
