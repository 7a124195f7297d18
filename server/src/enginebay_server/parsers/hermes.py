"""Hermes, Qwen 2.5 and 3, and many that follow them: one JSON object between two tags.

``<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>``
"""

from __future__ import annotations

from typing import Final

from enginebay_server.parsers.call_form import CallForm
from enginebay_server.parsers.cursor import END, Cursor, Reading
from enginebay_server.parsers.json_call import read_call
from enginebay_server.parsers.syntax import Syntax

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"


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
    yield from read_call(cursor)
    yield from cursor.blanks()
    cursor.skip()


FORM: Final = CallForm(
    before=OPEN + '\n{"name": "',
    between='", "arguments": ',
    after="}\n" + CLOSE,
    separator="\n",
)

HERMES: Final = Syntax("hermes", (OPEN, CLOSE), (OPEN,), _read, (FORM,))
