"""The page on parsers names all there are, and the parser that it shows is one."""

from __future__ import annotations

from typing import Any

from tests.docs.pages import code_spans, read, table

from enginebay_core.text import ByteTokenizer
from enginebay_server.parsers import PAIRS, TOOL_PARSERS, CallReading, Dialect, joined, open_reader

PAGE = read("docs/parsers.md")


def test_each_parser_is_named() -> None:
    named = table(PAGE.section("## Which one reads a model"))
    assert set(named) - {"tool_parser", "reasoning_parser"} == {*TOOL_PARSERS, *PAIRS}
    for name, tags in PAIRS.items():
        assert set(tags) <= set(code_spans(PAGE.section("## Which one reads a model"))), name


def test_the_parser_that_is_shown_reads_calls() -> None:
    names: dict[str, Any] = {}
    [source] = PAGE.blocks("python")
    exec(source, names)
    calls = CallReading({}, only_one=False)
    reader = open_reader(ByteTokenizer(), Dialect(names["PARENS"]), (), calls=calls)
    part = joined(
        reader.push(b'Well.\n<call>f({"a": ")"})</call> <call>broken</call>'), reader.flush()
    )
    assert [(call.name, call.arguments) for call in part.calls] == [("f", ""), ("", '{"a": ")"}')]
    assert part.content.startswith("Well.")
