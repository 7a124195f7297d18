"""DeepSeek V3, R1 and V3.1: a name and its arguments between control tokens.

V3: ``<｜tool▁call▁begin｜>function<｜tool▁sep｜>f``, a line end, the arguments in a fenced block of
JSON; V3.1: ``<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}``. Each ends in ``<｜tool▁call▁end｜>``,
all stand between ``<｜tool▁calls▁begin｜>`` and ``<｜tool▁calls▁end｜>``.
"""

from __future__ import annotations

from typing import Final

from enginebay_server.parsers.call_form import CallForm
from enginebay_server.parsers.cursor import END, Cursor, NotACall, Reading
from enginebay_server.parsers.json_call import read_arguments
from enginebay_server.parsers.syntax import Syntax

CALLS: Final = "<｜tool▁calls▁begin｜>"
CALL: Final = "<｜tool▁call▁begin｜>"
SEPARATOR: Final = "<｜tool▁sep｜>"
CALL_END: Final = "<｜tool▁call▁end｜>"
CALLS_END: Final = "<｜tool▁calls▁end｜>"
FENCE: Final = "```"


def _read(cursor: Cursor) -> Reading[None]:
    called = False
    while (tag := (yield from cursor.until(CALLS, CALL, CALL_END, CALLS_END))) is not END:
        if tag in (CALLS, CALL):
            called = yield from cursor.attempt(_read_call(cursor, tag))
        elif called:
            cursor.skip()
        else:
            cursor.content()


def _read_call(cursor: Cursor, tag: str) -> Reading[None]:
    if tag == CALLS and (yield from cursor.blanks()) == CALL:
        yield from cursor.take()
    name = yield from cursor.text_until(SEPARATOR)
    yield from cursor.take()
    fenced = (yield from cursor.blanks()) != "{"
    if fenced:  # what came before was the kind of tool
        name = yield from cursor.text_until("\n")
        yield from cursor.blanks()
        yield from cursor.expect(FENCE + "json")
    if not name.strip():
        raise NotACall
    cursor.begin(name.strip())
    yield from read_arguments(cursor, cursor.arguments)
    cursor.end()
    if fenced and (yield from cursor.blanks()) == FENCE[0]:
        yield from cursor.expect(FENCE)
        cursor.skip()


V3: Final = CallForm(
    opening=CALLS,
    before=f"{CALL}function{SEPARATOR}",
    between=f"\n{FENCE}json\n",
    after=f"\n{FENCE}{CALL_END}",
    separator="\n",
    closing=CALLS_END,
)
V3_1: Final = CallForm(
    opening=CALLS, before=CALL, between=SEPARATOR, after=CALL_END, closing=CALLS_END
)

DEEPSEEK: Final = Syntax(
    "deepseek",
    (CALLS, CALL, SEPARATOR, CALL_END, CALLS_END),
    (CALLS, CALL),
    _read,
    (V3_1, V3),
)
