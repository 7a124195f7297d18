"""Qwen3-Coder: each argument between tags of its own, which need the tool's schema to be JSON.

``<tool_call><function=f><parameter=a>1</parameter></function></tool_call>``, line ends between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from enginebay_core.api import Rule
from enginebay_server.parsers.call_form import CallForm, Offered, refuse_parameters
from enginebay_server.parsers.cursor import END, Cursor, NotACall, Reading
from enginebay_server.parsers.syntax import Syntax

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"
FUNCTION: Final = "<function="
PARAMETER: Final = "<parameter="
PARAMETER_END: Final = "</parameter>"
FUNCTION_END: Final = "</function>"
VALUE_END: Final = f"\n{PARAMETER_END}\n"

DEFINITIONS: Final = ("$defs", "definitions")
UNDERSTOOD: Final = frozenset(
    {*DEFINITIONS, "$schema", "type", "properties", "required", "additionalProperties"}
    | {"title", "description"}
)
UNDERSTOOD_OF_TEXT: Final = frozenset(
    {"type", "enum", "const", "title", "description", "default", "examples"}
)
"""Keywords that can be kept to where values are no JSON."""

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


def _arguments(function: Offered) -> Rule:
    """Each parameter in the order of its description, those that are not required perhaps. Raises
    RequestError for what only JSON could be kept to.
    """
    schema = function.parameters or {}
    for keyword in schema.keys() - UNDERSTOOD:
        raise refuse_parameters(function, keyword, "qwen3_coder")
    properties, required = schema.get("properties"), schema.get("required")
    parts: list[Rule] = []
    for key, described in properties.items() if isinstance(properties, Mapping) else ():
        if "\n" in key or ">" in key:
            raise refuse_parameters(function, key, "qwen3_coder")
        begin = Rule("text", f"{PARAMETER}{key}>\n")
        value = Rule("sequence", parts=(begin, *_value(function, described)))
        needed = isinstance(required, list) and key in required
        parts.append(value if needed else Rule("choice", parts=(value, Rule("sequence"))))
    return Rule("sequence", parts=tuple(parts))


def _value(function: Offered, described: Any) -> Iterator[Rule]:
    """A string is written as it is, anything else as JSON."""
    if not (isinstance(described, Mapping) and described.get("type") == "string"):
        yield _json_value(function, described)
        yield Rule("text", VALUE_END)
        return
    for keyword in described.keys() - UNDERSTOOD_OF_TEXT:
        raise refuse_parameters(function, keyword, "qwen3_coder")
    words = described.get("enum", [described["const"]] if "const" in described else None)
    if words is None:
        yield Rule("free", VALUE_END)
        return
    if not (isinstance(words, list) and words and all(map(_is_plain, words))):
        raise refuse_parameters(function, "enum", "qwen3_coder")
    yield Rule("choice", parts=tuple([Rule("text", f"{word}{VALUE_END}") for word in words]))


def _is_plain(word: Any) -> bool:
    return isinstance(word, str) and PARAMETER_END not in word and word == word.strip("\n")


def _json_value(function: Offered, described: Any) -> Rule:
    """With the definitions that it may refer to."""
    schema = function.parameters or {}
    if isinstance(described, Mapping):
        described = {**{key: schema[key] for key in DEFINITIONS if key in schema}, **described}
    return Rule("json", json.dumps(described, ensure_ascii=False), place=function.place)


FORM: Final = CallForm(
    before=f"{OPEN}\n{FUNCTION}",
    between=">\n",
    after=f"{FUNCTION_END}\n{CLOSE}",
    separator="\n",
    arguments=_arguments,
    loose=False,
)

QWEN3_CODER: Final = Syntax("qwen3_coder", (OPEN, CLOSE), (OPEN,), _read, (FORM,))
