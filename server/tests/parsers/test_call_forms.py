"""Forced calls: whatever a model says within the grammar, the parser reads back as valid calls."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from server.tests.parsers.styles import STYLES, Style, TaggedTokenizer
from server.tests.parsers.test_tool_parsers import collected

from enginebay_core.api import GenerationRequest, Grammar, JsonValue, RequestError, Rule
from enginebay_core.grammar import GrammarCompiler, GrammarLimits, Matcher, Outcome
from enginebay_core.text import spell_vocabulary
from enginebay_server.parsers import CallReading, Dialect, Offered, open_reader
from enginebay_server.parsers.call_form import NO_PARAMETERS, CallForm, choose_form

jsonschema = pytest.importorskip("jsonschema_rs", reason="judges the arguments")

WEATHER: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Bern", "Lima"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "unit": {"$ref": "#/$defs/unit"},
        "at": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["city", "unit"],
    "$defs": {"unit": {"enum": ["C", "F", None]}},
}
NOTE: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}
FUNCTIONS = (
    Offered("get_weather", "tools[0].function.parameters", WEATHER),
    Offered("now", "tools[1].function.parameters", NO_PARAMETERS),
)
END = 299
"""No token of theirs: the id that ends an answer."""

EXACT = {
    "hermes",
    "hermes in text",
    "qwen3_coder",
    "llama3",
    "mistral names",
    "deepseek v3",
    "deepseek v3.1",
}
"""Styles that are written as one of the forms is."""

FORMS = [
    (style, form)
    for style in STYLES.values()
    for form in style.syntax.forms
    if style.parser != "mistral" or not style.spells
]
each_form = pytest.mark.parametrize(
    ("style", "form"), FORMS, ids=[f"{s.parser}-{i}" for i, (s, _) in enumerate(FORMS)]
)


class Writer:
    """Stands for a model: draws from what the mask leaves."""

    def __init__(self, tokenizer: TaggedTokenizer) -> None:
        self.size = 300 + len(tokenizer.control)
        vocabulary = spell_vocabulary(tokenizer, self.size)
        self.compiler = GrammarCompiler(lambda: vocabulary, GrammarLimits())

    def write(self, rule: Rule, seed: int) -> list[int]:
        matcher, draw = self.open(rule), random.Random(seed)
        ids: list[int] = []
        while not matcher.complete:
            matcher.fill()
            assert matcher.mask is not None
            bits = np.unpackbits(matcher.mask.view(np.uint8), bitorder="little")
            able = [int(token) for token in np.flatnonzero(bits)]
            ending = [token for token in able if token in (*b'"}]<\n',)]
            token = draw.choice(ending if ending and draw.random() < 0.5 else able)
            if token == END:
                return ids
            assert matcher.take(token) is None
            ids.append(token)
            assert len(ids) < 4000
        return ids

    def open(self, rule: Rule) -> Matcher:
        found: list[Outcome] = []
        told = threading.Event()

        def done(outcome: Outcome) -> None:
            found.append(outcome)
            told.set()

        request = GenerationRequest((1,), 1, stop_ids=frozenset({END}), grammar=Grammar(rule))
        self.compiler.open(request, done)
        assert told.wait(30)
        assert isinstance(found[0], Matcher), found
        return found[0]


class Writers:
    """One for each tokenizer."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, ...], Writer] = {}

    def of(self, style: Style) -> Writer:
        tags = tuple(style.tokenizer.control)
        if tags not in self.made:
            self.made[tags] = Writer(style.tokenizer)
        return self.made[tags]


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    writers = Writers()
    yield writers
    for writer in writers.made.values():
        writer.compiler.close()


def read(style: Style, ids: Sequence[int], functions: Sequence[Offered]) -> list[tuple[str, Any]]:
    offered: dict[str, Any] = {f.name: f.parameters or {} for f in functions}
    reader = open_reader(style.tokenizer, Dialect(style.syntax), (), calls=CallReading(offered))
    parts = [reader.push(ids), reader.flush()]
    assert not "".join(part.content for part in parts)
    calls = collected([call for part in parts for call in part.calls])
    return [(name, json.loads(arguments)) for name, arguments in calls]


@each_form
def test_what_the_grammar_allows_is_read_as_valid_calls(
    style: Style, form: CallForm, writers: Writers
) -> None:
    writer = writers.of(style)
    counts = set()
    for seed in range(6):
        rule = form.rule(FUNCTIONS, style.tokenizer.control, only_one=seed % 2 == 0)
        calls = read(style, writer.write(rule, seed), FUNCTIONS)
        counts.add(len(calls) if seed % 2 else 1)
        assert len(calls) == 1 or seed % 2
        for name, arguments in calls:
            schema = {function.name: function.parameters for function in FUNCTIONS}[name]
            jsonschema.validator_for(schema).validate(arguments)
    assert min(counts) == 1


@each_form
def test_any_text_is_an_argument(style: Style, form: CallForm, writers: Writers) -> None:
    if style.parser == "qwen3_coder":
        pytest.skip("nobody comes upon the end of its texts by chance")
    writer = writers.of(style)
    note = Offered("note", "tools[0].function.parameters", NOTE)
    rule = form.rule([note], style.tokenizer.control, only_one=True)
    for seed in range(4):
        [(name, arguments)] = read(style, writer.write(rule, seed), [note])
        assert name == "note"
        assert isinstance(arguments["text"], str)


@each_form
def test_without_a_schema_any_object_is_allowed(
    style: Style, form: CallForm, writers: Writers
) -> None:
    if style.parser == "qwen3_coder":
        pytest.skip("names of parameters are part of its form")
    writer = writers.of(style)
    free = Offered("f", "tools[0].function.parameters", None)
    rule = form.rule([free], style.tokenizer.control, only_one=True)
    [(name, arguments)] = read(style, writer.write(rule, 1), [free])
    assert name == "f"
    assert isinstance(arguments, dict)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_what_templates_write_is_allowed(name: str, writers: Writers) -> None:
    style = STYLES[name]
    writer = writers.of(style)
    note = Offered("note", "tools[0].function.parameters", NOTE)
    calls = [("note", '{"text": "a <b> \\n 红 </parameter"}'), ("note", '{"text": ""}')]
    written = style.write(calls[:1] if name == "deepseek v3.1" else calls)  # has no line ends
    form = choose_form(style.syntax.forms, "note", written)
    assert form is not None
    matcher = writer.open(form.rule([note], style.tokenizer.control, only_one=False))
    for place, token in enumerate(style.tokenizer.encode(written, control=True)):
        matcher.fill()
        assert matcher.take(token) is None, written.encode()[:place][-40:]
    matcher.fill()
    assert matcher.take(END) is None


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({**NOTE, "minProperties": 1}, "minProperties"),
        ({"properties": {"a": {"type": "string", "pattern": "^a$"}}}, "pattern"),
        ({"properties": {"a": {"type": "string", "enum": [1]}}}, "enum"),
        ({"properties": {"a>b": {"type": "string"}}}, "a>b"),
    ],
)
def test_a_form_refuses_what_it_cannot_write(parameters: dict[str, JsonValue], word: str) -> None:
    (form,) = STYLES["qwen3_coder"].syntax.forms
    function = Offered("f", "tools[4].function.parameters", parameters)
    with pytest.raises(RequestError, match="qwen3_coder") as caught:
        form.rule([function], {}, only_one=True)
    assert caught.value.param == "tools[4].function.parameters"
    assert repr(word) in str(caught.value)


def test_arguments_are_an_object() -> None:
    (form,) = STYLES["hermes"].syntax.forms
    with pytest.raises(RequestError, match="'array'") as caught:
        form.rule([Offered("f", "here", {"type": "array"})], {}, only_one=True)
    assert caught.value.param == "here"


@pytest.mark.parametrize("name", STYLES)
def test_the_form_is_the_one_that_the_template_writes(name: str) -> None:
    style = STYLES[name]
    written = style.write([("f", '{"a": 1}')])
    form = choose_form(style.syntax.forms, "f", written)
    assert form is not None
    if name in EXACT:
        assert f"f{form.between}" in written
