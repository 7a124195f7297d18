"""Llama 3.1 and later: a JSON object, after ``<|python_tag|>`` or as the whole answer.

``{"name": "f", "parameters": {"a": 1}}``; several are parted by ``;``. Without the tag nothing but
the name tells a call from an answer in JSON, so it must be an offered function's.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from enginebay_server.parsers.call_form import CallForm
from enginebay_server.parsers.cursor import END, Cursor, Reading
from enginebay_server.parsers.json_call import read_call
from enginebay_server.parsers.syntax import Syntax

TAG: Final = "<|python_tag|>"


def _read(cursor: Cursor) -> Reading[None]:
    if (yield from cursor.blanks()) == "{":
        yield from cursor.attempt(_read_calls(cursor, known=cursor.tools), tagged=False)
    while (yield from cursor.until(TAG)) is not END:
        yield from cursor.attempt(_read_calls(cursor))


def _read_calls(cursor: Cursor, known: Container[str] | None = None) -> Reading[None]:
    following = "{"
    while following == "{":
        yield from read_call(cursor, known)
        following = yield from cursor.blanks()
        if following in (";", ","):
            yield from cursor.take()
            cursor.skip()
            following = yield from cursor.blanks()


FORM: Final = CallForm(before='{"name": "', between='", "parameters": ', after="}", separator="; ")

LLAMA3: Final = Syntax("llama3", (TAG,), (), _read, (FORM,))
