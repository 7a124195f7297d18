"""Text whose tokens can be counted from outside, whatever renders it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.benchmarks import pieces
from tests.benchmarks.checkpoint import TINY, write_tokenizer

from enginebay_core.api import Conversation, Message, Role
from enginebay_core.text import hf_tokenizer

VOCABULARY = 2000


def test_ids_come_back_from_their_text() -> None:
    ids = (0, 35, 36, 36**3 - 1, 36**3, 151_935)
    assert pieces.read(pieces.write(ids)) == ids
    assert pieces.count(pieces.write(ids)) == len(ids)


def test_half_a_piece_is_no_answer() -> None:
    with pytest.raises(ValueError, match="whole piece"):
        pieces.count("A00zA0")


def test_prompts_differ_from_their_first_id_on() -> None:
    firsts = {pieces.draw(31, 151_936, ("run", number))[0] for number in range(200)}
    assert len(firsts) > 190
    assert pieces.draw(31, 151_936, "x") == pieces.draw(31, 151_936, "x")
    assert min(pieces.draw(5000, VOCABULARY, "x")) >= pieces.FIRST


def test_the_tokenizer_makes_the_ids_that_the_bare_loop_gets(tmp_path: Path) -> None:
    write_tokenizer(replace(TINY, vocab_size=VOCABULARY), tmp_path)
    tokenizer = hf_tokenizer.load(tmp_path)
    turns = tuple(pieces.draw(5, VOCABULARY, turn) for turn in range(3))
    roles: tuple[Role, ...] = ("user", "assistant", "user")
    messages = (Message(role, pieces.write(turn)) for role, turn in zip(roles, turns, strict=True))
    prompt = tokenizer.render(Conversation(tuple(messages)))
    assert list(prompt.ids) == pieces.render(turns)
    assert tokenizer.decode(turns[0]) == pieces.write(turns[0])
