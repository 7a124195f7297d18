"""What is too much is refused before anybody works on it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from enginebay_core.api import Grammar, RequestError, Rule
from enginebay_core.grammar import GrammarCheck, GrammarLimits
from enginebay_core.grammar.narrowing import narrow


def check(*schemas: Any, **limits: int) -> None:
    rules = tuple(
        [
            Rule("json", json.dumps(schema), place=f"tools[{index}].function.parameters")
            for index, schema in enumerate(schemas)
        ]
    )
    GrammarCheck(GrammarLimits(**limits))(Grammar(Rule("sequence", parts=rules)))


def nested(levels: int) -> Any:
    return {"items": nested(levels - 1)} if levels > 1 else {}


def test_bytes_at_the_limit_and_one_past_it() -> None:
    schemas = [{"const": "a" * 100}, {"const": "b" * 100}]
    total = sum(len(json.dumps(schema)) for schema in schemas)
    check(*schemas, bytes=total)
    with pytest.raises(RequestError, match=f"{total} with those before") as caught:
        check(*schemas, bytes=total - 1)
    assert caught.value.param == "tools[1].function.parameters"


def test_depth_at_the_limit_and_one_past_it() -> None:
    check(nested(7), depth=7)
    with pytest.raises(RequestError, match="nests 8 levels") as caught:
        check(nested(8), depth=7)
    assert caught.value.param == "tools[0].function.parameters"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
        {"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#"}]}]},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"oneOf": [{"$ref": "#/oneOf/0"}]},
    ],
)
def test_a_circle_describes_nothing(schema: Any) -> None:
    with pytest.raises(RequestError, match="circle"):
        check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "null"}}},
        {"const": {"$ref": "#/nowhere"}},
    ],
)
def test_a_step_into_the_value_is_no_circle(schema: Any) -> None:
    check(schema)


def test_a_long_chain_is_walked() -> None:
    chain = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(1500)}
    check({"$ref": "#/$defs/d0", "$defs": {**chain, "d1500": {"type": "null"}}}, bytes=200_000)


def test_a_place_with_thousands_of_digits_is_nowhere() -> None:
    check({"a": [1], "$ref": "#/a/" + "1" * 5000})


def test_numbers_come_to_an_end() -> None:
    bounds = {"minimum": -1e15, "maximum": 1e15}
    assert narrow({"type": "integer"}) == {"type": "integer", **bounds}
    number = {"type": ["number", "null"], "exclusiveMinimum": 3}
    assert narrow(number) == {**number, "maximum": 1e15, "multipleOf": 1e-9}
    for as_it_is in (
        {"type": "integer", "minimum": 2e15},
        {"type": "integer", "minimum": 1, "maximum": 2},
        {"type": "integer", "enum": [1]},
        {"type": "string"},
    ):
        assert narrow(as_it_is) == as_it_is
    ours = {"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 9}
    assert narrow(ours) == ours


def test_objects_are_closed_where_that_only_narrows() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "null"}}}
    closed = {**inner, "additionalProperties": False}
    assert narrow(inner) == closed
    assert narrow({"items": inner}) == {"items": closed}
    for as_it_is in (
        {**inner, "additionalProperties": {"type": "null"}},
        {**inner, "patternProperties": {"^b": {}}},
        {**inner, "anyOf": [{"properties": {"b": {}}}]},
        {"allOf": [inner, {"properties": {"b": {}}}]},
        {"const": inner},
        {"type": "object"},
        True,
    ):
        assert narrow(as_it_is) == as_it_is


def test_a_long_schema_does_not_hold_up_the_event_loop() -> None:
    """Others have their turn while it is looked at; and one that does not pass is refused."""
    names = {f"p{number}": {"type": "string"} for number in range(1000)}
    long = Rule("json", json.dumps({"type": "object", "properties": names}), place="long")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def check(grammars: GrammarCheck) -> None:
        beside = asyncio.create_task(others())
        try:
            await grammars.check(Grammar(long))
        finally:
            beside.cancel()

    asyncio.run(check(GrammarCheck(GrammarLimits())))
    assert turns > 0
    with pytest.raises(RequestError, match="long has"):
        asyncio.run(check(GrammarCheck(GrammarLimits(bytes=8192))))
