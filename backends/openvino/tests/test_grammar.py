"""Grammars as EBNF: what each rule says, and what is refused by name."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from enginebay_core.api import Grammar, RequestError, Rule, ThinkingSpan

pytest.importorskip(
    "openvino_genai", reason="OpenVINO GenAI is not installed: backends/openvino[runtime]"
)

from enginebay_openvino.grammar.cost import states
from enginebay_openvino.grammar.ebnf import Ebnf, shorten, times
from enginebay_openvino.grammar.numbers import Bounds, natural, real, whole
from enginebay_openvino.grammar.pattern import NotKept, write_pattern
from enginebay_openvino.grammar.rules import write_ebnf
from enginebay_openvino.grammar.schema import SchemaWriter

PLACE = "response_format.json_schema.schema"


def as_regex(ebnf: Ebnf, body: str) -> re.Pattern[str]:
    """The same language, for Python, of a body without rules that contain themselves."""
    rules = dict(line.split(" ::= ", 1) for line in ebnf.text(body).splitlines())

    def expand(text: str) -> str:
        pieces = re.findall(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\w+|\{[\d,]+\}|\S', text)
        return "".join(map(convert, pieces))

    def convert(piece: str) -> str:
        if piece.startswith('"'):
            return re.escape(piece[1:-1].encode().decode("unicode_escape"))
        if piece in rules:
            return f"(?:{expand(rules[piece])})"
        return "(?:" if piece == "(" else piece

    return re.compile(expand(rules["root"]))


def matches(ebnf: Ebnf, body: str, text: str) -> bool:
    return as_regex(ebnf, body).fullmatch(text) is not None


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (0, 9), (0, 150), (7, 7), (98, 1203), (-5, 4), (-20, -3), (0, 1000)]
)
def test_whole_numbers_between_bounds(low: int, high: int) -> None:
    written = as_regex(Ebnf(), whole(Bounds(low, high)) or "")
    allowed = {number for number in range(-1500, 1500) if written.fullmatch(str(number))}
    assert allowed == set(range(low, high + 1))
    assert not written.fullmatch("-0")
    assert not written.fullmatch("007")


@pytest.mark.parametrize("low", [-2, 0, 3])
@pytest.mark.parametrize("high", [-1, 0, 4])
def test_numbers_between_bounds(low: int, high: int) -> None:
    if low > high:
        return
    written = as_regex(Ebnf(), real(Bounds(low, high)) or "")
    for hundredths in range(-400, 600):
        text = f"{hundredths / 100:.2f}"
        allowed = written.fullmatch(text) is not None
        inside = 100 * low <= hundredths <= 100 * high
        assert not allowed or inside, text
        assert allowed or not inside or hundredths in (100 * low, 100 * high), text


def test_bounds_that_are_none() -> None:
    assert natural(5, 4) == []
    assert whole(Bounds(5, 4)) is None
    assert real(Bounds(1, 0)) is None
    assert Bounds.of(0.5, None, 2.5, None) == Bounds(1, 2)
    assert Bounds.of(None, 1, None, 4) == Bounds(2, 3)


@pytest.mark.parametrize(
    ("least", "most"),
    [(0, 0), (0, 3), (0, 32), (0, 33), (0, 63), (64, 64), (3, 70), (0, 130), (0, 127), (5, None)],
)
def test_so_many_times(least: int, most: int | None) -> None:
    ebnf = Ebnf()
    written = as_regex(ebnf, times(ebnf, '"a"', least, most))
    counts = [count for count in range(200) if written.fullmatch("a" * count)]
    assert counts == list(range(least, 200 if most is None else most + 1))


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("^[A-Z]{2}-[0-9]{3}$", ["AB-123"], ["A-123", "AB-1234", "ab-123"]),
        (r"^\d+(\.\d+)?$", ["1", "12.5"], [".5", "1."]),
        ("^(?:a|bc)*?$", ["", "abca"], ["b"]),
        ("^[^a-c]$", ["d", r"\\", r"\""], ["a", '"', "\\", ""]),
        (r"^.\\\"$", [r"x\\\""], [r"x\""]),
        ("red", ["red"], ["infrared"]),
        ("^[-_.]+$", ["-_."], ["a"]),
        (r"^[^\s\w]{2}$", ["!?"], ["a!", " !"]),
    ],
)
def test_patterns(pattern: str, fitting: list[str], others: list[str]) -> None:
    ebnf = Ebnf()
    written = as_regex(ebnf, write_pattern(ebnf, pattern))
    assert all(written.fullmatch(text) for text in fitting)
    assert not any(written.fullmatch(text) for text in others)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a)",
        "[a",
        "(?=a)b",
        r"(a)\1",
        "a**",
        "*",
        "a{5,2}",
        "a{99999}",
        "^a$b",
        r"\bx",
        "[b-a]",
    ],
)
def test_patterns_that_are_not_kept(pattern: str) -> None:
    with pytest.raises(NotKept):
        write_pattern(Ebnf(), pattern)


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "fitting", "others"),
    [
        ({"enum": ["a", 1, None]}, ['"a"', "1", "null"], ["a", "2"]),
        ({"type": "string", "enum": ["a", 1]}, ['"a"'], ["1"]),
        ({"type": ["boolean", "null"]}, ["true", "null"], ["0"]),
        ({"oneOf": [{"type": "null"}, {"const": 2}]}, ["null", "2"], ["3"]),
        ({"allOf": [{"const": "x"}]}, ['"x"'], []),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ['"a"', r'"\"b"'], ['""', '"abc"']),
        (
            {"type": "string", "format": "email"},
            ['"a@b.de"', '"john.smith@example.co.uk"'],
            ['"a@b"', '"@b.de"', '"a.@b.de"'],
        ),
        ({"type": "string", "format": "date"}, ['"2024-02-28"'], ['"2024-13-01"', '"x"']),
        ({"type": "integer", "multipleOf": 12, "minimum": 1, "maximum": 30}, ["12", "24"], ["0"]),
        ({"type": "array", "items": {"const": 1}, "maxItems": 2}, ["[]", "[1, 1]"], ["[1, 1, 1]"]),
        ({"type": "array", "items": {"const": 1}, "minItems": 2}, ["[1, 1]", "[1,1,1]"], ["[1]"]),
        (
            {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False},
            ["[]", "[1]", "[1, 2]"],
            ["[2]", "[1, 2, 3]"],
        ),
        (
            {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 2},
            ["[1, 2]", "[1, 2, 2]"],
            ["[1]", "[2, 2]"],
        ),
        (
            {**an_object(a={"const": 1}, b={"const": 2}, c={"const": 3}), "required": ["b"]},
            ['{"b": 2}', '{"a": 1, "b": 2}', '{"b":2,\n "c":3}'],
            ["{}", '{"a": 1}', '{"b": 2,}', '{, "b": 2}', '{"c": 3, "b": 2}'],
        ),
        (an_object(), ["{}"], ['{"a": 1}']),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, ["1"], ["2"]),
    ],
)
def test_schemas(schema: dict[str, Any], fitting: list[str], others: list[str]) -> None:
    ebnf = Ebnf()
    written = as_regex(ebnf, SchemaWriter(ebnf, schema, PLACE).write())
    assert [text for text in fitting if not written.fullmatch(text)] == []
    assert [text for text in others if written.fullmatch(text)] == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"uniqueItems": True}, "uniqueItems"),
        ({"not": {}}, "not"),
        ({"if": {}}, "if"),
        ({"type": "object", "minProperties": 1}, "minProperties"),
        ({"type": "string", "pattern": "(?=a)"}, "pattern"),
        ({"type": "string", "format": "iri"}, "format 'iri'"),
        ({"type": "string", "format": "date", "maxLength": 3}, "maxLength beside format"),
        ({"type": "number", "multipleOf": 0.1}, "multipleOf"),
        ({"type": "integer", "multipleOf": 3}, "multipleOf"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "bounds"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "allOf"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"anyOf": [{"type": "string"}], "type": "object"}, "type beside anyOf"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "required 'a'"),
        ({"type": "object", "patternProperties": {"a": {}}}, "patternProperties"),
        ({"$ref": "http://example.com/"}, "$ref"),
        ({"$ref": "#/$defs/nothing"}, "refers to '#/$defs/nothing'"),
        ({"type": "nothing"}, "type 'nothing'"),
        ({"type": "object", "properties": []}, "properties"),
        ({"type": "string", "minLength": -1}, "minLength"),
        ({"type": "string", "minLength": 3, "maxLength": 1}, "maxLength"),
        ({"enum": []}, "enum"),
        ({"type": "array", "items": [1]}, "schema that is none"),
        (False, "false"),
    ],
)
def test_what_is_refused_by_name(schema: Any, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        SchemaWriter(Ebnf(), schema, PLACE).write()
    assert refused.value.param == PLACE
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (an_object(**{f"p{i}": {"type": "string"} for i in range(257)}), "more than 256 prop"),
        (an_object(**{f"p{i}": {"type": "string", "maxLength": i} for i in range(30)}), "lengths"),
        (
            {"prefixItems": [{"minimum": -1234567 * i, "maximum": 7654321} for i in range(900)]},
            "ranges",
        ),
        ({"oneOf": [{"const": i} for i in range(257)]}, "more than 256 schemas"),
        ({"type": "string", "pattern": r"^(\w\w\w\w){1,99}$"}, "patterns"),
        ({"type": "string", "pattern": "(" * 2000 + ")" * 2000}, "groups within"),
        (
            {**an_object(**{"a" * 60: {}}), "patternProperties": {"^(a*)*b$": {}}},
            "patternProperties with a group",
        ),
        (
            {**an_object(**{"a" * 60: {}}), "patternProperties": {"^" + "a*" * 30 + "b$": {}}},
            "more than one repetition",
        ),
    ],
)
def test_what_would_take_too_long_is_refused_at_once(schema: Any, said: str) -> None:
    started = time.perf_counter()
    with pytest.raises(RequestError, match=said) as refused:
        SchemaWriter(Ebnf(), schema, PLACE).write()
    assert refused.value.param == PLACE
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("properties", "most"),
    [
        ({f"p{i}": {"type": "string", "maxLength": 4000 + i} for i in range(20)}, 128),
        ({f"p{i}": {"type": "string", "maxLength": 40} for i in range(200)}, 80),
        ({f"p{i}": {"type": "integer"} for i in range(200)}, 10),
    ],
)
def test_equal_parts_are_compiled_once(properties: dict[str, Any], most: int) -> None:
    ebnf = Ebnf()
    SchemaWriter(ebnf, an_object(**properties), PLACE).write()
    assert states(ebnf.rules) <= most
    assert ebnf.size < 60_000


def test_a_long_bound_is_cut_by_less_than_a_quarter() -> None:
    assert [shorten(0, most) for most in (20, 127, 128, 160, 4096)] == [20, 127, 127, 159, 4095]
    assert shorten(100, 110) == 110
    assert shorten(3, None) is None


def test_a_schema_that_contains_itself() -> None:
    tree = an_object(value={"const": 1}, next={"anyOf": [{"type": "null"}, {"$ref": "#"}]})
    ebnf = Ebnf()
    written = ebnf.text(SchemaWriter(ebnf, tree, PLACE).write())
    assert len(written.splitlines()) < 20


def test_free_text_ends_with_the_first_end() -> None:
    written = write_ebnf(Grammar(Rule("free", text="aab")))
    rules = dict(line.split(" ::= ", 1) for line in written.splitlines())

    def reads(text: str) -> bool:
        """Follows the rules by hand: each goes on with one other."""
        state = rules["root"]
        for place, character in enumerate(text):
            branches = [branch.strip("() ") for branch in rules[state][1:-1].split(" | ")]
            following = [one.split()[-1] for one in branches if one.startswith(f'"{character}"')]
            other = [one.split()[-1] for one in branches if one.startswith("[")]
            state = following[0] if following else other[0]
            if state not in rules:
                return place == len(text) - 1
        return False

    assert all(map(reads, ["aab", "aaab", "abaab", "xaxaab"]))
    assert not any(map(reads, ["aa", "aabx", "b", ""]))


def test_control_tokens_and_thinking() -> None:
    rule = Rule("sequence", parts=(Rule("control", "<call>", 7), Rule("text", 'f("')))
    assert '"\ue000z7z"' in write_ebnf(Grammar(rule))
    assert r'"f(\""' in write_ebnf(Grammar(rule))
    span = ThinkingSpan(opening=3, closing=4, begun=False)
    assert "\ue000z3z" in write_ebnf(Grammar(rule, span))
    begun = ThinkingSpan(opening=3, closing=4, begun=True)
    assert "\ue000z3z" not in write_ebnf(Grammar(rule, begun))
