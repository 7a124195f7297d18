"""What only some syntaxes have to decide, and what stands between calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from server.tests.parsers.styles import STYLES, TaggedTokenizer
from server.tests.parsers.test_tool_parsers import WEATHER, every, read

from enginebay_core.text import TemplateFacts
from enginebay_server.call_history import call_id_for
from enginebay_server.parsers import CallReading, Dialect, joined, open_reader

HERMES = STYLES["hermes"]
LLAMA = STYLES["llama3"]
CALL = HERMES.write([WEATHER])


def hermes(text: str, **options: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    ids = HERMES.tokenizer.encode(text, control=True)
    answers = {read(HERMES, ids, every(size, ids), **options) for size in (1, 4, 10_000)}
    assert len(answers) == 1
    [answer] = answers
    return answer.content, answer.calls


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"\n\n{CALL}\n\n", ""),
        (f"One.\n{CALL}\nTwo.", "One.\n\nTwo."),
        (f"{CALL}\n\n{CALL}\nThen.\n", "Then."),
        (f"{' ' * 500}{CALL}", " " * (500 - 64)),
        (f"a{CALL}b{CALL}c", "abc"),
    ],
)
def test_blanks_around_calls_are_dropped_and_those_between_words_stay(
    text: str, content: str
) -> None:
    assert hermes(text) == (content, (WEATHER,) * text.count(CALL))


def test_a_stop_string_after_a_call_is_found_where_it_is() -> None:
    assert hermes(f"One two.{CALL} three Stop x", stop=["Stop"])[0] == "One two. three "


class Words(TaggedTokenizer):
    """Its tokens are whole words, with the ends of tags in the middle."""

    words = (
        "Hm <",
        "<tool",
        "_call>\n{",
        '"name": "f", "argu',
        'ments": {"a": "<"',
        "}}\n</tool_",
        "call> .",
    )

    def __init__(self) -> None:
        super().__init__(())

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.words[token] for token in ids)


def test_tags_in_text_may_end_inside_of_tokens() -> None:
    reader = open_reader(Words(), Dialect(HERMES.syntax), (), calls=CallReading({}))
    part = joined(reader.push(range(len(Words.words))), reader.flush())
    assert [(call.name, call.arguments) for call in part.calls] == [("f", ""), ("", '{"a": "<"}')]
    assert (part.content, part.settled) == ("Hm < .", len(Words.words))


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ('{"name": "f"}', [("f", "{}")]),
        ('{"name": "f", "arguments": null}', [("f", "{}")]),
        ('{"name": "f", "arguments": ""}', [("f", "{}")]),
        ('{"name": "f", "arguments": [1, 2]}', [("f", "[1, 2]")]),
        ('{"name": "f", "parameters": {}}', [("f", "{}")]),
        ('{"arguments": {"a": 1}, "name": "f"}', [("f", '{"a": 1}')]),
        ('{"name": "\\u0066", "arguments": {"a": "\\u00e9"}}', [("f", '{"a": "\\u00e9"}')]),
        ('{"name": "f", "arguments": {"a": "x\ny\t"}}', [("f", '{"a": "x\\ny\\t"}')]),
        ('{"name": "f", "arguments": {"a": tru}}', [("f", '{"a": tru}')]),
        ('{"name": "f", "arguments": {"a": "b}}', [("f", '{"a": "b}}')]),
        ('{"name": "f", "arguments": {"a": 1} "x"}', [("f", '{"a": 1}')]),
        ('{"name": "\\ud800", "arguments": {}}', [("?", "{}")]),
    ],
)
def test_what_is_a_call(body: str, calls: list[tuple[str, str]]) -> None:
    content, found = hermes(f"<tool_call>{body}</tool_call>\n{CALL}")
    assert found == (*calls, WEATHER)
    assert "tool_call" not in content


@pytest.mark.parametrize(
    "body",
    [
        "",
        "f(1)",
        "{}",
        '{"name": ""}',
        '{"name": 5, "arguments": {}}',
        '{"name": "f" "arguments": {}}',
        '{"arguments": {}}',
        '{"name": "\\x"}',
        "{'name': 'f'}",
        '[{"name": "f"}]',
    ],
)
def test_what_is_no_call_stays_as_it_was_written(body: str) -> None:
    text = f"Well.<tool_call>{body}</tool_call>"
    assert hermes(text) == (text, ())
    assert hermes(f"{text}{CALL}") == (text, (WEATHER,))


def test_without_a_tag_only_an_offered_function_is_called() -> None:
    for name, called in (("get_weather", True), ("get_wether", False)):
        text = LLAMA.write([(name, "{}")])
        answer = read(LLAMA, LLAMA.tokenizer.encode(text, control=True))
        assert bool(answer.calls) == called
        assert answer.content == ("" if called else text)


def test_an_answer_in_json_is_not_held_back() -> None:
    tokenizer = LLAMA.tokenizer
    reader = open_reader(tokenizer, Dialect(LLAMA.syntax), (), calls=CallReading({"f": {}}))
    assert reader.push(tokenizer.encode('{"city": ')).content == '{"city": '[:-1]
    assert reader.push(tokenizer.encode('"Paris"')).content == ' "Paris"'


def test_arguments_come_as_they_are_generated() -> None:
    tokenizer = HERMES.tokenizer
    reader = open_reader(tokenizer, Dialect(HERMES.syntax), (), calls=CallReading({}))
    reader.push(tokenizer.encode('<tool_call>{"name": "f", "arguments": ', control=True))
    for character in json.dumps({"text": "one two three"}):
        assert [call.arguments for call in reader.push(character.encode()).calls][-1:] == [
            character
        ]


def test_an_argument_of_the_coder_streams_when_it_is_a_string() -> None:
    style = STYLES["qwen3_coder"]
    tools = {"f": {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}}
    dialect = Dialect(style.syntax)
    reader = open_reader(style.tokenizer, dialect, (), calls=CallReading(tools))
    opening = "<tool_call>\n<function=f>\n<parameter=a>\nhel"
    calls = reader.push(style.tokenizer.encode(opening, control=True)).calls
    assert [call.arguments for call in calls] == ["", '{"a": "hel']
    assert reader.push(b"lo").calls[0].arguments == "lo"
    closing = "\n</parameter>\n<parameter=b>\nTrue\n</parameter>\n</function>\n</tool_call>"
    calls = reader.push(style.tokenizer.encode(closing, control=True)).calls
    assert [call.arguments for call in calls] == ['", "b": true}']


def test_ids_of_calls_are_made_short_where_the_template_wants_it() -> None:
    short = TemplateFacts(short_call_ids=True)
    made = call_id_for("call_0123456789abcdef01234567", short)
    assert len(made) == 9
    assert made.isalnum()
    assert made == call_id_for("call_0123456789abcdef01234567", short)
    assert made != call_id_for("call_0123456789abcdef01234568", short)
    assert call_id_for("abcdefgh1", short) == "abcdefgh1"
    assert call_id_for("call_1", TemplateFacts()) == "call_1"
