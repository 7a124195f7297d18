"""What may come next, and when it is over."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

pytest.importorskip("llguidance", reason="needs enginebay-core[structured]")

from enginebay_core.api import EngineError, RequestError, Rule, ThinkingSpan
from enginebay_core.grammar import GrammarCompiler

from .walk import (
    BYTES,
    CLOSE,
    OPEN,
    STOP,
    allowed,
    choice,
    follow,
    json_rule,
    make_compiler,
    matcher_of,
    opened,
    sequence,
    text,
    wander,
)

POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> Iterator[GrammarCompiler]:
    made = make_compiler()
    yield made
    made.close()


def spelled(ids: list[int]) -> bytes:
    return b"".join(BYTES.tokens[token] for token in ids)


def test_only_what_the_rule_allows(compiler: GrammarCompiler) -> None:
    matcher = matcher_of(opened(compiler, json_rule(POINT)))
    assert allowed(matcher) == {ord("{"), 260}  # and the token {"
    assert follow(matcher, b'{"x":') is None
    assert ord("7") in allowed(matcher)
    assert ord("a") not in allowed(matcher)
    assert STOP not in allowed(matcher)
    fault = matcher.take(ord("a"))
    assert isinstance(fault, EngineError)
    assert "97" in str(fault)


def test_a_number_may_end_or_go_on(compiler: GrammarCompiler) -> None:
    matcher = matcher_of(opened(compiler, json_rule({"type": "integer"})))
    assert follow(matcher, b"12") is None
    assert not matcher.complete
    assert {STOP, ord("3")} <= allowed(matcher)
    assert matcher.take(STOP) is None


@pytest.mark.parametrize("stop_ids", [frozenset[int](), frozenset({STOP, OPEN})])
def test_it_is_complete_where_nothing_can_follow(
    compiler: GrammarCompiler, stop_ids: frozenset[int]
) -> None:
    matcher = matcher_of(opened(compiler, json_rule(POINT), stop_ids=stop_ids))
    assert follow(matcher, b'{"x": 1') is None
    assert not matcher.complete
    assert not allowed(matcher) & stop_ids
    assert follow(matcher, b"}") is None
    assert matcher.complete


def test_an_end_needs_a_stop_id_or_nothing_more_to_say(compiler: GrammarCompiler) -> None:
    """Without stop ids an integer goes on: there is nothing that could end it."""
    matcher = matcher_of(opened(compiler, json_rule({"type": "integer"}), stop_ids=frozenset()))
    assert follow(matcher, b"12") is None
    assert allowed(matcher) == set(b"0123456789")


def test_control_tokens_are_never_spelled(compiler: GrammarCompiler) -> None:
    rule = sequence(Rule("control", "<think>", OPEN), text("a"), Rule("control", "</think>", CLOSE))
    matcher = matcher_of(opened(compiler, rule))
    assert allowed(matcher) == {OPEN}
    assert follow(matcher, [OPEN, ord("a"), CLOSE]) is None
    assert matcher.complete


def test_free_text_has_no_control_tokens_and_ends_where_it_is_told(
    compiler: GrammarCompiler,
) -> None:
    free = sequence(Rule("free"), choice(sequence(), Rule("control", "<think>", OPEN)))
    matcher = matcher_of(opened(compiler, free))
    assert follow(matcher, "你好 <think>".encode()) is None
    assert {OPEN, STOP} <= allowed(matcher)
    assert CLOSE not in allowed(matcher)
    ended = sequence(Rule("free", "</p>"), text("!"))
    matcher = matcher_of(opened(compiler, ended))
    assert follow(matcher, b"a </ b</p>") is None
    assert allowed(matcher) == {ord("!")}


def test_a_part_repeats_as_often_as_it_likes(compiler: GrammarCompiler) -> None:
    rule = sequence(text("a"), Rule("repeat", parts=(text(",a"),)))
    for count in range(4):
        matcher = matcher_of(opened(compiler, rule))
        assert follow(matcher, b"a" + b",a" * count) is None
        assert allowed(matcher) == {ord(","), STOP}


def test_thinking_is_free_until_it_closes(compiler: GrammarCompiler) -> None:
    thinking = ThinkingSpan(OPEN, CLOSE, begun=True)
    matcher = matcher_of(opened(compiler, json_rule(POINT), thinking))
    assert matcher.mask is None
    assert follow(matcher, b"hm, } {") is None
    assert matcher.mask is None
    assert not matcher.complete
    assert follow(matcher, [CLOSE]) is None
    assert {ord("\n"), ord("{")} <= allowed(matcher)
    assert follow(matcher, b'\n\n{"x":1}') is None
    assert matcher.complete


def test_thinking_may_begin_or_not(compiler: GrammarCompiler) -> None:
    thinking = ThinkingSpan(OPEN, CLOSE, begun=False)
    matcher = matcher_of(opened(compiler, json_rule(POINT), thinking))
    assert {OPEN, ord("{")} <= allowed(matcher)
    assert CLOSE not in allowed(matcher)
    assert follow(matcher, [OPEN, *b"hm", CLOSE, *b'{"x":1}']) is None
    assert matcher.complete
    matcher = matcher_of(opened(compiler, json_rule(POINT), thinking))
    assert follow(matcher, b'{"x":1') is None
    assert OPEN not in allowed(matcher)


def test_blanks_are_bounded(compiler: GrammarCompiler) -> None:
    """A small model that likes blanks would never end."""
    matcher = matcher_of(opened(compiler, json_rule(POINT)))
    assert follow(matcher, b"{\n" + b" " * 16) is None
    assert allowed(matcher) == {ord('"')}


def test_objects_have_no_properties_that_nobody_named(compiler: GrammarCompiler) -> None:
    named = {"type": "object", "properties": {"x": {"type": "integer"}}}
    matcher = matcher_of(opened(compiler, json_rule(named)))
    assert isinstance(follow(matcher, b'{"y'), EngineError)
    matcher = matcher_of(opened(compiler, json_rule({**named, "additionalProperties": True})))
    assert follow(matcher, b'{"y": [1]}') is None


def test_a_dead_end_is_the_schemas_fault(compiler: GrammarCompiler) -> None:
    nobody = {"type": "string", "pattern": "^a$", "minLength": 3}
    outcome = opened(compiler, json_rule(nobody, "tools[0].function.parameters"))
    fault = outcome if isinstance(outcome, RequestError) else follow(matcher_of(outcome), b'"a"')
    assert isinstance(fault, RequestError)
    assert fault.param == "tools[0].function.parameters"


def test_random_walks_are_valid(compiler: GrammarCompiler) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "kind": {"enum": ["red", "rot", "红"]},
            "at": {"type": "array", "items": POINT, "maxItems": 2},
        },
        "required": ["name", "kind"],
    }
    for seed in range(20):
        matcher = matcher_of(opened(compiler, json_rule(schema)))
        value = json.loads(spelled(wander(matcher, seed)))
        assert {"name", "kind"} <= set(value) <= {"name", "kind", "at"}
        assert value["kind"] in ("red", "rot", "红")
        assert len(value["name"]) <= 5
        assert all(isinstance(point["x"], int) for point in value.get("at", []))


def optional(count: int) -> dict[str, object]:
    names = {f"p{number}": {"enum": [1, 2]} for number in range(count)}
    return {"type": "object", "properties": names, "additionalProperties": False}


def test_an_object_may_have_a_thousand_optional_properties(compiler: GrammarCompiler) -> None:
    matcher = matcher_of(opened(compiler, json_rule(optional(1000))))
    assert follow(matcher, b'{"p7":1,"p998":2}') is None
    assert matcher.complete


def test_what_is_too_much_at_one_place_says_so(compiler: GrammarCompiler) -> None:
    fault = follow(matcher_of(opened(compiler, json_rule(optional(2500)))), b'{"p7":1')
    assert isinstance(fault, RequestError)
    assert "fewer optional properties" in str(fault)
    assert fault.param == "schema"
