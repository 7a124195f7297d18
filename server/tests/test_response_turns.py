"""Items next to each other to the turns that they were."""

from __future__ import annotations

from enginebay_server.responses.turns import Turns
from enginebay_server.schema.responses import (
    CallItem,
    Item,
    MessageItem,
    ReasoningItem,
    ThoughtPart,
)


def thought(text: str) -> ReasoningItem:
    return ReasoningItem(type="reasoning", content=[ThoughtPart(type="reasoning_text", text=text)])


def said(text: str) -> MessageItem:
    return MessageItem(role="assistant", content=text)


CALL = CallItem(type="function_call", call_id="c", name="f", arguments="{}")


def turns_of(*items: Item) -> list[dict[str, object]]:
    turns = Turns(None)
    for index, item in enumerate(items):
        turns.add(item, f"input[{index}]")
    return [
        {"thought": turn.get("reasoning_content"), "said": turn.get("content")}
        | {"calls": len(turn.get("tool_calls", ()))}
        for turn in turns.messages
    ]


def turn(thought: str | None, said: str | None, calls: int) -> dict[str, object]:
    return {"thought": thought, "said": said, "calls": calls}


def test_thinking_goes_before_what_it_led_to() -> None:
    assert turns_of(thought("a"), thought("b"), said("c"), CALL) == [turn("a\nb", "c", 1)]


def test_thinking_after_words_or_calls_begins_a_turn() -> None:
    assert turns_of(said("a"), thought("b"), CALL, thought("c")) == [
        turn(None, "a", 0),
        turn("b", None, 1),
        turn("c", None, 0),
    ]


def test_words_go_on_after_a_call_alone() -> None:
    assert turns_of(said("a"), CALL, said("b")) == [turn(None, "ab", 1)]
    assert turns_of(said("a"), said("b")) == [turn(None, "a", 0), turn(None, "b", 0)]


def test_thinking_that_says_nothing_is_no_turn() -> None:
    assert turns_of(ReasoningItem(type="reasoning", encrypted_content="sealed")) == []
