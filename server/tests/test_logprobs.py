"""Which ids are told, when, and in what numbers."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import AsyncGenerator, Sequence

import pytest

from enginebay_core.api import (
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Limits,
    SamplingParams,
    TokenLogprob,
)
from enginebay_core.text import ByteTokenizer, open_streamer
from enginebay_server.choice import Choice, Delta
from enginebay_server.frames import dumps
from enginebay_server.logprobs import Ledger, chat_logprobs, completion_logprobs
from enginebay_server.parsers import Part, PlainReader, ReasoningReader, ThinkingTags

pytest.importorskip("hypothesis", reason="the order of ids is checked on random answers")
from hypothesis import given, settings
from hypothesis import strategies as st

OPENING, CLOSING = 257, 258  # two control tokens of the tokenizer ``bytes``, which show nothing
TOKENIZER = ByteTokenizer()


class Script:
    """An engine that says what it was told to, ``size`` ids a step."""

    def __init__(self, ids: Sequence[int], size: int) -> None:
        self._ids = ids
        self._size = size
        self.limits = Limits(259, 1000)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        for start in range(0, len(self._ids), self._size):
            ids = tuple(self._ids[start : start + self._size])
            places = range(start, start + len(ids))
            told = [(TokenLogprob(i, -place / 100),) for i, place in zip(ids, places, strict=True)]
            yield GenerationStep(ids, None, tuple(told))
        yield GenerationStep((), FinishReason.STOP)

    def close(self) -> None:
        pass


async def answer(ids: Sequence[int], size: int, stop: Sequence[str] = ()) -> list[Delta]:
    reader = ReasoningReader(
        ThinkingTags(OPENING, CLOSING),
        lambda: PlainReader(open_streamer(TOKENIZER, stop)),
        lambda: PlainReader(open_streamer(TOKENIZER)),
        thinking=False,
    )
    run = GenerationRequest((1,), 1000, SamplingParams(logprobs=0))
    choice = Choice(0, Script(ids, size), run, reader, Ledger(TOKENIZER))
    return [delta async for delta in choice.deltas()]


def places(deltas: Sequence[Delta]) -> list[int]:
    """Where in the answer the ids stand that were told: ``Script`` says it in their logprob."""
    return [round(-told.own.logprob * 100) for delta in deltas for told in delta.logprobs or ()]


def answer_places(ids: Sequence[int]) -> list[int]:
    """From the definition: ids outside of thinking blocks, tags left out."""
    found, thinking = [], False
    for place, token in enumerate(ids):
        if token in (OPENING, CLOSING):
            thinking = token == OPENING
        elif not thinking:
            found.append(place)
    return found


WORDS = st.sampled_from([*"abS🎉", "é"]).map(lambda text: [*text.encode()])
BROKEN = st.sampled_from([[0xC3], [0xA9], [0xE4, 0xBD], [256]])
TAGS = st.sampled_from([[OPENING], [CLOSING]])
ANSWERS = st.lists(WORDS | BROKEN | TAGS, max_size=16).map(lambda parts: [*itertools.chain(*parts)])


@settings(max_examples=200, deadline=None)
@given(ids=ANSWERS, size=st.integers(1, 5))
async def test_each_id_of_the_answer_is_told_once_and_in_order(ids: list[int], size: int) -> None:
    deltas = await answer(ids, size)
    assert places(deltas) == answer_places(ids)
    alone = [delta.logprobs for delta in deltas if not (delta.content or delta.finish)]
    assert all(told == () for told in alone)  # a chunk of thinking has no place for them


@settings(max_examples=200, deadline=None)
@given(ids=ANSWERS, size=st.integers(1, 5))
async def test_nothing_past_a_stop_string_is_told(ids: list[int], size: int) -> None:
    deltas = await answer(ids, size, ["aS", "ba"])
    expected = answer_places(ids)
    told = places(deltas)
    assert told == expected[: len(told)]
    shown = "".join(delta.content for delta in deltas)
    said = bytes(ids[place] for place in told if ids[place] < 256).decode(errors="replace")
    ended = said.endswith(("aS", "ba"))
    assert ended or told == expected
    assert len(said) <= len(shown) + 3


async def test_thinking_is_not_told() -> None:
    ids = [OPENING, *b"hm", CLOSING, *b"yes"]
    deltas = await answer(ids, 1)
    assert "".join(delta.reasoning for delta in deltas) == "hm"
    assert [delta.logprobs for delta in deltas if delta.reasoning] == [(), ()]
    told = [told.own.text for delta in deltas for told in delta.logprobs or ()]
    assert told == [b"y", b"e", b"s"]


async def test_what_has_no_text_is_told_with_the_next_content() -> None:
    deltas = await answer([256, OPENING, *b"hm", CLOSING, *b"y"], 1)
    assert [len(delta.logprobs or ()) for delta in deltas] == [0, 0, 2, 0]
    assert places(deltas) == [0, 5]


async def test_half_a_character_is_told_with_the_whole_one() -> None:
    deltas = await answer([*"aé".encode()], 1)
    told = [(delta.content, [one.own.text for one in delta.logprobs or ()]) for delta in deltas]
    assert told == [("a", [b"a"]), ("é", [b"\xc3", b"\xa9"]), ("", [])]


def test_no_number_is_outside_of_json() -> None:
    ledger = Ledger(TOKENIZER)
    strange = [-math.inf, math.nan, math.inf, 1e-9, -1e5, -2.5]
    entries = [(TokenLogprob(97, value), TokenLogprob(98, value)) for value in strange]
    ledger.add(entries, Part(settled=len(entries)))
    told = ledger.take()
    expected = [-9999.0, -9999.0, 0.0, 0.0, -9999.0, -2.5]
    for shape in (chat_logprobs(told), completion_logprobs(told)):
        json.loads(dumps(shape), parse_constant=pytest.fail)
    assert [one.own.logprob for one in told] == [one.top[0].logprob for one in told] == expected


def test_of_two_that_read_alike_the_better_is_listed() -> None:
    ledger = Ledger(TOKENIZER)
    padding = (TokenLogprob(300, -0.5), TokenLogprob(301, -1.0))  # of no token, so without a text
    ledger.add([(TokenLogprob(97, -3.0), *padding)], Part(settled=1))
    shape = completion_logprobs(ledger.take())
    assert shape is not None
    assert shape["top_logprobs"] == [{"": -0.5, "a": -3.0}]


def test_control_tokens_are_told_by_their_text() -> None:
    ledger = Ledger(TOKENIZER)
    ledger.add([(TokenLogprob(256, -1.0), TokenLogprob(97, -0.5))], Part(settled=1))
    told = ledger.take()
    shape = chat_logprobs(told)
    assert shape is not None
    [entry] = shape["content"]
    assert (entry["token"], entry["bytes"]) == ("<|endoftext|>", list(b"<|endoftext|>"))
    assert completion_logprobs(told) == {
        "tokens": ["<|endoftext|>"],
        "token_logprobs": [-1.0],
        "top_logprobs": [{"a": -0.5, "<|endoftext|>": -1.0}],
        "text_offset": [0],
    }
