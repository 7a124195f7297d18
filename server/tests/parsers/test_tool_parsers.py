"""What every tool-call parser has to do, whatever its syntax."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from server.tests.parsers.styles import STYLES, Call, Style

from enginebay_server.parsers import CallPart, CallReading, Dialect, Part, ThinkingTags, open_reader

pytest.importorskip("hypothesis", reason="the parsers' laws are checked on random answers")
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS: Mapping[str, Mapping[str, Any]] = {
    "get_weather": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    "write": {"properties": {"text": {"type": "string"}, "deep": {"type": "object"}}},
}
WEATHER: Call = ("get_weather", '{"city": "Paris", "days": 3}')
TAGS = "<tool_call></tool_call>[ARGS]<|python_tag|>"
"""What a model that explains tags spells out, beside those that it means."""
TRICKY: Call = (
    "write",
    json.dumps({"text": f'a "b" \\ }}]{{[ {TAGS} 巴黎\n\t/é', "deep": {"a": [{"b": None}, "}"]}}),
)
SIZES = pytest.mark.parametrize("size", [1, 3, 10_000])
each_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())


@dataclass(frozen=True)
class Answer:
    content: str
    reasoning: str
    calls: tuple[Call, ...]
    settled: int
    stopped: bool


def read(
    style: Style,
    ids: Sequence[int],
    cuts: Iterable[int] = (),
    *,
    stop: Sequence[str] = (),
    only_one: bool = False,
    thinking: ThinkingTags | None = None,
) -> Answer:
    """What the client gets, when the ids come in the pieces that ``cuts`` make."""
    dialect = Dialect(style.syntax, thinking)
    calls = CallReading(TOOLS, only_one)
    reader = open_reader(style.tokenizer, dialect, (), stop=stop, calls=calls)
    parts: list[Part] = []
    for begin, end in pairwise([0, *cuts, len(ids)]):
        parts.append(reader.push(ids[begin:end]))
        if parts[-1].stopped:
            break
    else:
        parts.append(reader.flush())
    return Answer(
        "".join(part.content for part in parts),
        "".join(part.reasoning for part in parts),
        collected([call for part in parts for call in part.calls]),
        sum(part.settled for part in parts),
        parts[-1].stopped,
    )


def collected(parts: Sequence[CallPart]) -> tuple[Call, ...]:
    """Calls as a client puts them together; each part is in its right form."""
    names: list[str] = []
    arguments: list[str] = []
    ids = set()
    for part in parts:
        if part.id:
            assert part.id.startswith("call_")
            assert (part.index, part.arguments) == (len(names), "")
            ids.add(part.id)
            names.append(part.name)
            arguments.append("")
        else:
            assert part.index == len(names) - 1
            assert part.arguments
            arguments[part.index] += part.arguments
    assert len(ids) == len(names)
    return tuple(zip(names, arguments, strict=True))


def every(size: int, ids: Sequence[int]) -> range:
    return range(size, len(ids), size)


def same(style: Style, found: Sequence[Call], written: Sequence[Call]) -> bool:
    if style.exact:
        return list(found) == list(written)
    parsed = [[(name, json.loads(text)) for name, text in calls] for calls in (found, written)]
    return parsed[0] == parsed[1]


@each_style
@SIZES
def test_calls_are_read(style: Style, size: int) -> None:
    written = [WEATHER] if style.parser == "qwen3_coder" else [WEATHER, TRICKY]
    ids = style.tokenizer.encode_with(style.write(written), spelled=TAGS)
    answer = read(style, ids, every(size, ids))
    assert same(style, answer.calls, written)
    assert (answer.content, answer.settled, answer.stopped) == ("", len(ids), False)


@each_style
@SIZES
def test_words_before_a_call_are_content(style: Style, size: int) -> None:
    before = "" if style.alone else "Let me see <tool {x}.\n\n"
    ids = style.tokenizer.encode(before + style.write([WEATHER, WEATHER]) + "\n", control=True)
    answer = read(style, ids, every(size, ids))
    assert same(style, answer.calls, [WEATHER, WEATHER])
    assert (answer.content, answer.settled) == (before.rstrip(), len(ids))


@each_style
@SIZES
def test_an_answer_without_calls_is_left_as_it_is(style: Style, size: int) -> None:
    text = '\n {"city": "Paris"} a <b> 巴黎 [1, 2]  \n'
    ids = style.tokenizer.encode(text, control=True)
    answer = read(style, ids, every(size, ids))
    assert (answer.content, answer.calls, answer.settled) == (text, (), len(ids))


@pytest.mark.parametrize(
    "style", [style for style in STYLES.values() if not style.spells and not style.alone]
)
def test_tags_that_are_spelled_out_are_text(style: Style) -> None:
    text = f"To call, write {style.write([WEATHER])}"
    ids = style.tokenizer.encode(text)
    assert read(style, ids, every(3, ids)).content == text
    assert read(style, ids, every(3, ids)).calls == ()


@each_style
def test_an_answer_cut_off_anywhere_has_calls_up_to_there(style: Style) -> None:
    """No tag is shown, and arguments are the beginning of what they would have been."""
    before = "" if style.alone else "Well. "
    written = [WEATHER, WEATHER]
    ids = style.tokenizer.encode(before + style.write(written), control=True)
    [whole, *_] = read(style, ids).calls
    for length in range(len(ids)):
        answer = read(style, ids[:length], every(4, ids[:length]))
        assert answer.settled == length
        assert [name for name, _ in answer.calls] == ["get_weather"] * len(answer.calls)
        assert all(whole[1].startswith(text) for _, text in answer.calls)
        if not (style.alone or style.spells):
            assert before.startswith(answer.content.rstrip())


@each_style
@SIZES
def test_only_one_call_ends_the_answer(style: Style, size: int) -> None:
    ids = style.tokenizer.encode(style.write([WEATHER, WEATHER, WEATHER]), control=True)
    answer = read(style, ids, every(size, ids), only_one=True)
    assert same(style, answer.calls, [WEATHER])
    assert answer.stopped
    alone = style.tokenizer.encode(style.write([WEATHER]), control=True)
    assert answer.settled <= len(alone)
    assert answer == read(style, ids, only_one=True)


@each_style
@SIZES
def test_stop_strings_are_looked_for_in_content_alone(style: Style, size: int) -> None:
    call = style.write([WEATHER])
    ids = style.tokenizer.encode(f"{call}\nStop", control=True)
    answer = read(style, ids, every(size, ids), stop=("Paris", "city", '"', "<", "S"))
    assert same(style, answer.calls, [WEATHER])
    assert (answer.content, answer.stopped) == ("", True)
    assert answer.settled == len(ids) - len("top")
    if not style.alone:
        ids = style.tokenizer.encode(f"Go on, no{call}", control=True)
        answer = read(style, ids, every(size, ids), stop=("n, no",))
        assert (answer.content, answer.calls, answer.stopped) == ("Go o", (), True)
        assert answer.settled == len("Go on, no")


@each_style
@SIZES
def test_thinking_comes_apart(style: Style, size: int) -> None:
    opening, closing = 257, 258
    tokenizer = style.tokenizer
    thought = tokenizer.encode(f"I will. {style.write([WEATHER])}\n")  # spelled out, not meant
    call = tokenizer.encode(style.write([WEATHER]), control=True)
    ids = [opening, *thought, closing, *b"\n\n", *call]
    tags = ThinkingTags(opening, closing)
    answer = read(style, ids, every(size, ids), thinking=tags)
    assert answer.reasoning == f"I will. {style.write([WEATHER])}"
    assert same(style, answer.calls, [WEATHER])
    assert (answer.content, answer.settled) == ("", len(ids))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.fixed_dictionaries({}, optional={"city": TEXT, "days": VALUES, "other": VALUES})
CUTS = st.lists(st.integers(0, 400), max_size=12).map(sorted)


@each_style
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_arguments_in_any_pieces(style: Style, data: st.DataObject) -> None:
    ascii_only = data.draw(st.booleans())
    written = [
        ("get_weather", json.dumps(arguments, ensure_ascii=ascii_only))
        for arguments in data.draw(st.lists(ARGUMENTS, min_size=1, max_size=2))
    ]
    ids = style.tokenizer.encode(style.write(written), control=True)
    cuts = [min(cut, len(ids)) for cut in data.draw(CUTS)]
    answer = read(style, ids, cuts)
    assert same(style, answer.calls, written)
    assert (answer.content, answer.settled) == ("", len(ids))


@each_style
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_garbage_reads_the_same_in_any_pieces(style: Style, data: st.DataObject) -> None:
    """Made of the syntax's own tags and of what may stand between them."""
    whole = style.write([WEATHER])
    scraps = [*style.syntax.tags, *'{}":,[]<x\\é \n', "```", '"name": "f"', '"arguments": {']
    scraps += [whole, whole[: len(whole) // 2]]
    text = "".join(data.draw(st.lists(st.sampled_from(scraps), max_size=12)))
    ids = style.tokenizer.encode(text, control=True)
    cuts = [min(cut, len(ids)) for cut in data.draw(CUTS)]
    stop = data.draw(st.sampled_from([(), ("x",), ('": ', "<<"), ("\n\n",)]))
    answer = read(style, ids, cuts, stop=stop)
    assert answer == read(style, ids, stop=stop)
    assert answer.settled == len(ids) or answer.stopped
    if not answer.calls:
        assert style.tokenizer.decode(ids).startswith(answer.content)
