"""Compiling: once for many, in time, and never more than there is room for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("llguidance", reason="needs enginebay-core[structured]")

from enginebay_core.api import (
    EngineClosed,
    EngineError,
    GenerationRequest,
    Grammar,
    Overloaded,
    RequestError,
)
from enginebay_core.grammar import GrammarCompiler, GrammarLimits, Outcome, Vocabulary
from enginebay_core.grammar.compiler import MOST_WAITING
from enginebay_core.grammar.guidance import Guidance

from .walk import (
    BYTES,
    allowed,
    follow,
    json_rule,
    make_compiler,
    matcher_of,
    opened,
)

TAKES_MINUTES = {"allOf": [{"type": "string", "pattern": f"a{i}b*"} for i in range(300)]}
TAKES_MEMORY = {"type": "integer", "multipleOf": 999_983}

Make = Callable[..., GrammarCompiler]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[GrammarCompiler] = []

    def begin(**limits: Any) -> GrammarCompiler:
        made.append(make_compiler(**limits))
        return made[-1]

    yield begin
    for compiler in made:
        compiler.close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Schemas as they are compiled in this process."""
    compiled: list[str] = []
    real = Guidance.compile

    def compile_it(self: Guidance, rule: Any, *, after_thinking: bool) -> Any:
        compiled.append(rule.text)
        return real(self, rule, after_thinking=after_thinking)

    monkeypatch.setattr(Guidance, "compile", compile_it)
    return compiled


def test_equal_grammars_are_compiled_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = counted(monkeypatch)
    compiler = make()
    found: list[Outcome] = []
    request = GenerationRequest((1,), 9, grammar=Grammar(json_rule({"type": "null"})))
    for _ in range(8):
        compiler.open(request, found.append)
    first = matcher_of(opened(compiler, json_rule({"type": "null"})))
    deadline = time.monotonic() + 10
    while len(found) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(compiled) == 1
    assert follow(first, b"nu") is None
    for outcome in found:
        assert follow(matcher_of(outcome), b"null") is None
    assert follow(first, b"ll") is None
    assert first.complete


def test_the_least_recent_make_room(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = counted(monkeypatch)
    compiler = make(cached=2)
    rules = [json_rule({"const": number}) for number in range(3)]
    for number in (0, 1, 0, 2, 0, 1):
        matcher_of(opened(compiler, rules[number]))
    assert compiled == [rules[number].text for number in (0, 1, 2, 1)]


@pytest.mark.parametrize("schema", [TAKES_MINUTES, TAKES_MEMORY])
def test_what_takes_too_long_is_ended(make: Make, schema: Any) -> None:
    compiler = make(seconds=0.5)
    matcher_of(opened(compiler, json_rule(True)))  # the process is there
    started = time.monotonic()
    outcome = opened(compiler, json_rule(schema, "response_format.json_schema.schema"))
    assert time.monotonic() - started < 3
    assert isinstance(outcome, RequestError)
    assert outcome.param == "response_format.json_schema.schema"
    assert "0.5 s" in str(outcome)
    assert allowed(matcher_of(opened(compiler, json_rule({"type": "null"})))) == {ord("n")}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nothing"}, "nothing"),
        ({"properties": []}, "properties"),
        ({"$ref": "#/$defs/none"}, "/$defs/none"),
        ({"type": "string", "pattern": "(?<=x)["}, "regex"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "format": "color"}, "color"),
        ({"minimum": 3, "maximum": 2, "type": "integer"}, "Unsatisfiable"),
        (False, "Unsatisfiable"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_by_name(make: Make, schema: Any, words: str) -> None:
    outcome = opened(make(), json_rule(schema, "tools[3].function.parameters"))
    assert isinstance(outcome, RequestError)
    assert outcome.param == "tools[3].function.parameters"
    assert words in str(outcome)
    assert len(str(outcome)) < 500


def test_a_client_sets_no_options_of_the_library(make: Make) -> None:
    schema = {"type": "array", "uniqueItems": True, "x-guidance": {"lenient": True}}
    assert isinstance(opened(make(), json_rule(schema)), RequestError)


def test_too_many_at_once_are_sent_away(make: Make) -> None:
    known = threading.Event()

    def ask() -> Vocabulary:
        known.wait()
        return BYTES

    compiler = GrammarCompiler(ask, GrammarLimits())
    found: list[Outcome] = []
    for number in range(MOST_WAITING + 1):
        rule = json_rule({"const": number})
        compiler.open(GenerationRequest((1,), 9, grammar=Grammar(rule)), found.append)
    assert [type(outcome) for outcome in found] == [Overloaded]
    compiler.close()
    assert [type(outcome) for outcome in found[1:]] == [EngineClosed] * MOST_WAITING
    known.set()


def test_a_tokenizer_that_fails_costs_the_request_alone() -> None:
    def ask() -> Vocabulary:
        raise ValueError("no such token")

    compiler = GrammarCompiler(ask, GrammarLimits())
    assert isinstance(opened(compiler, json_rule(True)), EngineError)
    assert isinstance(opened(compiler, json_rule(True)), EngineError)
    compiler.close()
