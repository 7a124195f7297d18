from __future__ import annotations

import pytest

from enginebay_core.api import JsonValue, RequestError
from enginebay_core.text.user_text import StandIns, UserText

STAND_INS = StandIns(["<think>", "</think>", "<|im_end|>", "<|im_end", "<｜User｜>"])
TEXT = "  <think>\na b\n</think>\n\n t <think> ink>,t</think>  "


def user(text: str = TEXT) -> UserText:
    wrapped = STAND_INS.protect(text)
    assert isinstance(wrapped, UserText)
    return wrapped


def reveal(value: object) -> object:
    if isinstance(value, str):
        return STAND_INS.reveal(str(value))
    return type(value)(map(reveal, value)) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("split", ("</think>",)),
        ("split", ("</think>", 1)),
        ("split", ("t",)),
        ("split", ()),
        ("split", (None, 2)),
        ("rsplit", ("<think>", 1)),
        ("rsplit", (None, 1)),
        ("splitlines", ()),
        ("splitlines", (True,)),
        ("partition", ("</think>",)),
        ("partition", ("absent",)),
        ("rpartition", ("</think>",)),
        ("strip", ()),
        ("lstrip", (" <",)),
        ("rstrip", (" >",)),
        ("startswith", ("  <think>",)),
        ("startswith", (("x", "<think>"), 2)),
        ("endswith", ("</think>  ",)),
        ("find", ("</think>",)),
        ("find", ("k>,t</",)),
        ("rfind", ("<think>", 3)),
        ("index", ("<think>",)),
        ("rindex", ("<think>",)),
        ("count", ("think",)),
        ("replace", ("</think>", "!")),
        ("replace", ("<think>", "", 1)),
        ("removeprefix", ("  <think>",)),
        ("removesuffix", ("</think>  ",)),
        ("removesuffix", ("absent",)),
        ("__contains__", ("</think>",)),
        ("__contains__", ("absent",)),
        ("__getitem__", (slice(3, 30, 2),)),
        ("__getitem__", (4,)),
        ("__add__", ("<think>",)),
        ("__eq__", (TEXT,)),
        ("__ne__", (TEXT,)),
        ("__len__", ()),
    ],
)
def test_methods_answer_as_if_nothing_were_hidden(method: str, arguments: tuple[object]) -> None:
    assert reveal(getattr(user(), method)(*arguments)) == getattr(TEXT, method)(*arguments)


def test_what_is_cut_stays_hidden() -> None:
    parts = user().split("\n")
    assert isinstance(parts[0], UserText)
    assert "<think>" not in str.__str__(parts[0])
    assert "<think>" in parts[0]
    assert isinstance("before " + user(), UserText)
    assert isinstance(str(user()), UserText)


def test_a_needle_may_be_hidden_too() -> None:
    assert user("</think>") in user()
    assert user().split(user("</think>")) == TEXT.split("</think>")
    assert {user("<think>"): 1} == {"<think>": 1}


def test_every_string_in_a_value_is_protected_keys_too() -> None:
    value: JsonValue = {"a<think>": ["<|im_end|>", 1, None, {"b": "plain"}], "c": True}
    protected = STAND_INS.protect(value)
    assert protected == value  # UserText compares as what it says
    assert isinstance(protected, dict)
    assert not any("think>" in str.__str__(key) for key in protected)


def test_plain_strings_stay_as_they_are() -> None:
    for text in ("", "hello", "a < b", "think", "im_end|>", "你好 <User>"):
        assert type(STAND_INS.protect(text)) is str


def test_the_beginning_of_a_control_token_at_the_end_is_hidden() -> None:
    assert STAND_INS.protect("x <|im_") == "x <|im_"
    assert "<|im_" not in str.__str__(user("x <|im_"))


def test_the_longest_control_token_is_found() -> None:
    assert STAND_INS.replace_control(
        "a<|im_end|>b<|im_end", {"<|im_end|>": "1", "<|im_end": "2"}
    ) == ("a1b2")


def test_without_control_tokens_nothing_is_hidden() -> None:
    assert type(StandIns([]).protect("<think>")) is str


def test_half_a_character_is_refused_before_it_can_pass_for_a_stand_in() -> None:
    with pytest.raises(RequestError, match="half a character"):
        STAND_INS.protect(["fine", "\ud800"])
