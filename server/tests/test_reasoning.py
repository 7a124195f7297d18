"""Thinking and answer, told apart by control tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from enginebay_core.text import byte_tokenizer, open_streamer
from enginebay_server.parsers import Part, PlainReader, ReasoningReader, ThinkingTags, thinking_tags

OPENING, CLOSING = 257, 258  # two control tokens of the tokenizer ``bytes``, which show nothing
TAGS = ThinkingTags(OPENING, CLOSING)
TOKENIZER = byte_tokenizer.load(Path())


def reader(*, thinking: bool = False, stop: tuple[str, ...] = ()) -> ReasoningReader:
    return ReasoningReader(
        TAGS,
        lambda: PlainReader(open_streamer(TOKENIZER, stop=stop)),
        lambda: PlainReader(open_streamer(TOKENIZER)),
        thinking=thinking,
    )


def ids(*parts: str | int) -> list[int]:
    return [i for part in parts for i in ([part] if isinstance(part, int) else part.encode())]


def read(made: ReasoningReader, given: Sequence[int], size: int) -> tuple[str, str, int, bool]:
    """(reasoning, content, ids settled, stopped) when pushed ``size`` ids at a time."""
    parts: list[Part] = []
    for start in range(0, len(given), size):
        parts.append(made.push(given[start : start + size]))
        if parts[-1].stopped:
            break
    else:
        parts.append(made.flush())
    return (
        "".join(part.reasoning for part in parts),
        "".join(part.content for part in parts),
        sum(part.settled for part in parts),
        parts[-1].stopped,
    )


SIZES = pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])


@SIZES
def test_a_block_and_an_answer(size: int) -> None:
    given = ids(OPENING, "\n想一想 {}\n\n", CLOSING, "\n\n你好\n")
    assert read(reader(), given, size) == ("想一想 {}", "你好\n", len(given), False)


@SIZES
def test_a_block_that_the_template_opened(size: int) -> None:
    given = ids("so\n\nit is\n", CLOSING, "yes")
    assert read(reader(thinking=True), given, size) == ("so\n\nit is", "yes", len(given), False)


@SIZES
def test_an_answer_without_thinking_is_left_as_it_is(size: int) -> None:
    given = ids("\n\nplain <think>text</think>\n")
    expected = ("", "\n\nplain <think>text</think>\n", len(given), False)
    assert read(reader(), given, size) == expected


@SIZES
def test_an_empty_block_is_no_thinking(size: int) -> None:
    given = ids(OPENING, "\n\n", CLOSING, "\n\nyes")
    assert read(reader(), given, size) == ("", "yes", len(given), False)


@SIZES
def test_a_block_that_never_closes_is_no_answer(size: int) -> None:
    given = ids(OPENING, "on and on")
    assert read(reader(), given, size) == ("on and on", "", len(given), False)


@SIZES
def test_a_second_block(size: int) -> None:
    given = ids(OPENING, "a", CLOSING, "b", OPENING, "c", CLOSING, "d")
    assert read(reader(), given, size) == ("ac", "bd", len(given), False)


@SIZES
def test_tags_out_of_place_are_never_text(size: int) -> None:
    given = ids(CLOSING, "a", CLOSING, "b", OPENING, "c", OPENING, "d", CLOSING, "e")
    assert read(reader(), given, size) == ("cd", "abe", len(given), False)


@SIZES
def test_stop_strings_are_looked_for_in_the_answer_only(size: int) -> None:
    given = ids(OPENING, "STOP here", CLOSING, "go STOP no")
    reasoning, content, settled, stopped = read(reader(stop=("STOP",)), given, size)
    assert (reasoning, content, stopped) == ("STOP here", "go ", True)
    assert settled == len(ids(OPENING, "STOP here", CLOSING, "go STOP"))


@SIZES
def test_half_a_character_at_a_tag_is_shown_as_such(size: int) -> None:
    given = [OPENING, *"思".encode()[:2], CLOSING, *b"x"]
    reasoning, content, settled, _ = read(reader(), given, size)
    assert set(reasoning) == {"\ufffd"}
    assert (content, settled) == ("x", len(given))


@pytest.mark.parametrize(
    ("prompt", "thinking"),
    [([1, OPENING, 2], True), ([OPENING, CLOSING, 3], False), ([1, 2], False), ([], False)],
)
def test_whether_the_prompt_leaves_a_block_open(prompt: list[int], thinking: bool) -> None:
    assert TAGS.open_at_end(prompt) is thinking


def test_tags_are_found_in_pairs_only() -> None:
    assert thinking_tags({"<think>": 1, "</think>": 2}) == ThinkingTags(1, 2)
    assert thinking_tags({"<think>": 1}) is None
