from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from enginebay_core.api import Piece, RequestError, Streamer, Tokenizer
from enginebay_core.text import ByteTokenizer, HuggingFaceTokenizer, open_streamer

pytest.importorskip("hypothesis", reason="the streamer's laws are checked on random ids")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str], HuggingFaceTokenizer]
STYLES = ("qwen3", "deepseek", "llama2", "mistral", "gemma", "unigram", "wordpiece")
# Fixtures here are loaded once and never change, so one serves all examples.
LAWS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Foreign:
    """A tokenizer of someone else: nothing but the protocol."""

    def __init__(self, inner: HuggingFaceTokenizer) -> None:
        self.control = inner.control
        self.encode, self.decode, self.render = inner.encode, inner.decode, inner.render


def all_pieces(streamer: Streamer, ids: Sequence[int], cuts: Sequence[int] = ()) -> list[Piece]:
    borders = sorted({0, *(cut % (len(ids) + 1) for cut in cuts), len(ids)})
    pieces = [streamer.push(ids[begin:end]) for begin, end in itertools.pairwise(borders)]
    return [*pieces, streamer.flush()]


def joined(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def settled(pieces: Sequence[Piece]) -> list[int]:
    return [token for piece in pieces for token in piece.ids]


def cut_at_first_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """From the definition: the stop string that is complete first, the longest of those."""
    for end in range(1, len(text) + 1):
        matched = [stop for stop in stops if text[:end].endswith(stop)]
        if matched:
            longest = max(matched, key=len)
            return text[: end - len(longest)], longest
    return text, None


def ids_of(tokenizer: HuggingFaceTokenizer) -> st.SearchStrategy[list[int]]:
    size = tokenizer._tokenizer.get_vocab_size()
    texts = st.sampled_from(["你好 🎉🎉 café", " the  dog", "<think>", "\n\n", "Ωμέγα 一二"])
    encoded = texts.map(lambda text: tokenizer.encode(text, control=True))
    noise = st.lists(st.integers(0, size + 2), max_size=12)
    return st.lists(st.one_of(noise, encoded), max_size=6).map(
        lambda parts: [*itertools.chain(*parts)]
    )


@pytest.mark.parametrize("style", STYLES)
@LAWS
@given(data=st.data())
def test_pieces_join_to_the_decoded_text(tokenizer: Load, style: str, data: st.DataObject) -> None:
    hf = tokenizer(style)
    ids = data.draw(ids_of(hf))
    cuts = data.draw(st.lists(st.integers(0, 80), max_size=8))
    pieces = all_pieces(open_streamer(hf), ids, cuts)
    assert joined(pieces) == hf.decode(ids)
    assert settled(pieces) == ids
    assert "".join(piece.text for piece in all_pieces(open_streamer(hf), ids, range(80))) == joined(
        pieces
    )


@pytest.mark.parametrize("style", ["qwen3", "unigram", "wordpiece"])
@LAWS
@given(data=st.data())
def test_any_tokenizer_streams(tokenizer: Load, style: str, data: st.DataObject) -> None:
    foreign: Tokenizer = Foreign(tokenizer(style))
    ids = data.draw(ids_of(tokenizer(style)))
    pieces = all_pieces(open_streamer(foreign), ids, range(80))
    assert joined(pieces) == foreign.decode(ids)
    assert settled(pieces) == ids


@pytest.mark.parametrize("style", ["qwen3", "llama2", "unigram"])
@LAWS
@given(data=st.data())
def test_text_is_cut_at_the_first_stop(tokenizer: Load, style: str, data: st.DataObject) -> None:
    hf = tokenizer(style)
    ids = data.draw(ids_of(hf))
    text = hf.decode(ids)
    places = st.integers(0, max(len(text) - 1, 0))
    slices = st.tuples(places, st.integers(1, 6)).map(lambda at: text[at[0] : at[0] + at[1]])
    stops = [stop for stop in data.draw(st.lists(slices, min_size=1, max_size=4)) if stop]
    expected, stop = cut_at_first_stop(text, stops)

    one_by_one = all_pieces(open_streamer(hf, stops), ids, range(80))
    assert joined(one_by_one) == expected
    assert [piece.stopped for piece in one_by_one if piece.stopped is not None] == (
        [] if stop is None else [stop]
    )
    assert settled(one_by_one) == ids[: len(settled(one_by_one))]
    in_chunks = all_pieces(open_streamer(hf, stops), ids, data.draw(st.lists(st.integers(0, 80))))
    assert joined(in_chunks) == expected
    assert settled(in_chunks) == settled(one_by_one)


def test_no_piece_shows_what_may_become_a_stop() -> None:
    tokenizer = ByteTokenizer()
    streamer = open_streamer(tokenizer, ["STOP", "。\n"])
    pieces = [streamer.push([token]) for token in tokenizer.encode("a ST b。c STOP d")]
    assert [piece.text for piece in pieces if piece.text] == ["a", " ", "ST ", "b", "。c", " "]
    last = pieces[len("a ST b。c STOP".encode()) - 1]
    assert last == Piece("", tuple(b"STOP"), "STOP")
    assert all(piece == Piece("") for piece in pieces[-2:])
    assert streamer.flush() == Piece("")


def test_the_id_that_completes_the_stop_is_the_last_one_counted() -> None:
    streamer = open_streamer(ByteTokenizer(), ["lo"])
    piece = streamer.push(list(b"hello world"))
    assert piece == Piece("hel", tuple(b"hello"), "lo")


def test_the_stop_that_is_complete_first_wins_and_of_two_the_longer() -> None:
    tokenizer = ByteTokenizer()
    assert open_streamer(tokenizer, ["abcd", "bc"]).push(list(b"xabcd")).stopped == "bc"
    assert open_streamer(tokenizer, ["c", "bc"]).push(list(b"xabcd")).stopped == "bc"
    overlapping = open_streamer(tokenizer, ["aab"]).push(list(b"aaab"))
    assert (overlapping.text, overlapping.stopped) == ("a", "aab")


def test_a_character_waits_for_its_last_byte() -> None:
    streamer = open_streamer(ByteTokenizer())
    ids = list("🎉".encode())
    assert [streamer.push([token]) for token in ids[:3]] == [Piece("")] * 3
    assert streamer.push(ids[3:]) == Piece("🎉", tuple(ids))


def test_flush_shows_an_unfinished_character_and_a_half_stop() -> None:
    streamer = open_streamer(ByteTokenizer(), ["<end>"])
    first = streamer.push([*b"a<en", 0xF0, 0x9F])
    assert first == Piece("a", tuple(b"a"))
    assert streamer.flush() == Piece("<en\ufffd", (*b"<en", 0xF0, 0x9F))


def test_an_unfinished_character_can_complete_a_stop() -> None:
    streamer = open_streamer(ByteTokenizer(), ["\ufffd"])
    assert streamer.push([*b"a", 0xF0]).text == "a"
    assert streamer.flush() == Piece("", (0xF0,), "\ufffd")


@pytest.mark.parametrize("style", ["bytes", "qwen3", "llama2"])
def test_a_model_that_speaks_no_utf8_is_held_back_only_a_little(
    tokenizer: Load, style: str
) -> None:
    chosen: Tokenizer = ByteTokenizer() if style == "bytes" else tokenizer(style)
    broken = 0xFF if style == "bytes" else _broken_byte(tokenizer(style))
    streamer = open_streamer(chosen)
    held = 0
    for pushed in range(1, 200):
        held += 1 - len(streamer.push([broken]).ids)
        assert held <= 10, pushed
    assert streamer.push(chosen.encode(" and then text")).text.endswith(" and then text")


@pytest.mark.parametrize("style", ["llama2", "mistral", "unigram"])
def test_a_blank_is_dropped_only_where_the_text_begins(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    dog = hf.encode(" the dog")
    in_the_middle = hf.decode([*hf.encode("x"), *dog]).removeprefix("x")
    assert in_the_middle[0] == " "
    begin = hf.control["<s>"]
    kept = all_pieces(open_streamer(hf, keep=[begin]), [begin, *dog], range(20))
    assert joined(kept) == "<s>" + in_the_middle
    if style != "unigram":  # which has no bytes
        broken = [_broken_byte(hf)] * 9
        pieces = all_pieces(open_streamer(hf), [*broken, *dog], range(20))
        assert joined(pieces) == "\ufffd" * 9 + in_the_middle


def _broken_byte(tokenizer: HuggingFaceTokenizer) -> int:
    vocabulary = tokenizer._tokenizer
    number = vocabulary.token_to_id("<0xFF>") or vocabulary.token_to_id("ÿ")
    assert number is not None
    return number


def test_special_tokens_are_shown_only_when_kept(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    ids = hf.encode("a<|im_start|>你<|im_end|>b", control=True)
    assert joined(all_pieces(open_streamer(hf), ids)) == "a你b"
    kept = open_streamer(hf, keep=[hf.control["<|im_end|>"]])
    assert joined(all_pieces(kept, ids)) == "a你<|im_end|>b"
    foreign = open_streamer(Foreign(hf), keep=[hf.control["<|im_start|>"]])
    assert joined(all_pieces(foreign, ids)) == "a<|im_start|>你b"


def test_a_kept_token_may_be_a_stop(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    streamer = open_streamer(hf, ["<|im_end|>"], keep=[hf.control["<|im_end|>"]])
    ids = hf.encode("hi<|im_end|>there", control=True)
    pieces = all_pieces(streamer, ids, range(20))
    assert joined(pieces) == "hi"
    assert settled(pieces)[-1] == hf.control["<|im_end|>"]


def test_special_tokens_inside_a_character_do_not_break_it(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    ids = hf.encode("🎉")
    assert len(ids) > 1
    end = hf.control["<|im_end|>"]
    pieces = all_pieces(open_streamer(hf), [*ids[:1], end, *ids[1:]], range(20))
    assert joined(pieces) == "🎉"


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(RequestError, match=r"stop\[1\] is ''") as refused:
        open_streamer(ByteTokenizer(), ["a", ""])
    assert refused.value.param == "stop"


def test_a_streamer_keeps_the_protocol() -> None:
    assert isinstance(open_streamer(ByteTokenizer()), Streamer)
