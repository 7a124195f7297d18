"""The page on responses leaves nothing out and adds nothing, and its example runs."""

from __future__ import annotations

import sys

from tests.docs.pages import code_spans, read, table
from tests.docs.test_shown import HERE, Served, run, served

from enginebay_server.responses.fields import RESPONSE_FIELDS
from enginebay_server.schema.responses import ITEM_KINDS, ResponseRequest

__all__ = ["served"]  # a fixture, used by name

PAGE = read("docs/responses.md")


def test_each_honoured_field_is_named() -> None:
    section = PAGE.section("## Fields that are honoured")
    assert set(ResponseRequest.model_fields) <= set(code_spans(section))
    assert set(table(section)) <= set(ResponseRequest.model_fields)


def test_each_refused_field_is_named() -> None:
    named = set(code_spans(PAGE.section("## Fields that are refused")))
    assert set(RESPONSE_FIELDS.refused) <= named


def test_each_kind_of_item_is_named() -> None:
    assert set(table(PAGE.section("## Items in"))) == set(ITEM_KINDS)


def test_the_example_calls_its_tool(served: Served) -> None:
    [snippet] = PAGE.blocks("python")
    said = run(sys.executable, "-c", snippet.replace(HERE, served.url))
    call, answer = said.strip().split("\n", 1)
    assert call == 'get_weather {"city": "Paris"}'
    assert "18" in answer
