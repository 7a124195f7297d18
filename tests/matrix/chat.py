"""What each field of a chat must come to, seen over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.matrix.wire import HELLO, LENGTH, QUESTION, ROOM, SCHEMA, WEATHER, Wire, keeps_to_city


def messages(wire: Wire) -> None:
    turns = [{"role": "system", "content": "Be kind."}, *HELLO]
    rendered = wire.ask("/render", messages=turns)
    places = [rendered["prompt"].find(turn["content"]) for turn in turns]
    assert -1 < places[0] < places[1], rendered["prompt"]
    assert wire.chat(messages=turns)["usage"]["prompt_tokens"] == rendered["count"]


def stream(wire: Wire) -> None:
    whole = wire.message()["content"]
    frames = wire.frames("/chat/completions", messages=HELLO, temperature=0, max_tokens=LENGTH)
    deltas = [choice["delta"].get("content") for frame in frames for choice in frame["choices"]]
    assert "".join(delta or "" for delta in deltas) == whole
    assert len([delta for delta in deltas if delta]) > 1


def stream_options(wire: Wire) -> None:
    asked = {"messages": HELLO, "temperature": 0, "max_tokens": LENGTH}
    *_, last = wire.frames("/chat/completions", stream_options={"include_usage": True}, **asked)
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    whole = wire.chat()["usage"]
    assert last["choices"] == []
    assert [last["usage"][name] for name in counted] == [whole[name] for name in counted]


def max_completion_tokens(wire: Wire) -> None:
    asked = {"messages": HELLO, "temperature": 0, "ignore_eos": True}
    answer = wire.post("/chat/completions", max_completion_tokens=5, **asked)
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"


def stop(wire: Wire) -> None:
    whole = wire.message()["content"]
    cut = next(whole[i] for i in range(3, len(whole)) if whole[i].isalnum() and whole[i].isascii())
    choice = wire.chat(stop=[cut])["choices"][0]
    assert choice["message"]["content"] == whole[: whole.index(cut)]
    assert choice["finish_reason"] == "stop"


def n(wire: Wire) -> None:
    one, answer = wire.chat(), wire.chat(n=3)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    said = {choice["message"]["content"] for choice in answer["choices"]}
    assert said == {one["choices"][0]["message"]["content"]}
    together = answer["usage"]["completion_tokens"]
    assert together == 3 * one["usage"]["completion_tokens"]


def logprobs(wire: Wire) -> None:
    choice = wire.chat(logprobs=True)["choices"][0]
    told = choice["logprobs"]["content"]
    spelled = b"".join(bytes(entry["bytes"]) for entry in told)
    assert spelled.decode(errors="replace").startswith(
        choice["message"]["content"].rstrip("\ufffd")
    )
    assert all(entry["logprob"] <= 0 for entry in told)
    assert len(told) > 1


def top_logprobs(wire: Wire) -> None:
    for entry in wire.chat(logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]:
        values = [top["logprob"] for top in entry["top_logprobs"]]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert values[0] == entry["logprob"], "greedy takes the likeliest"


def logit_bias(wire: Wire) -> None:
    [token] = wire.ask("/tokenize", prompt="x")["tokens"]
    said = wire.message(logit_bias={str(token): 100}, max_tokens=4)["content"]
    assert said == "xxxx"


def user(wire: Wire) -> None:
    assert wire.message(user="somebody") == wire.message()


def tools(wire: Wire) -> None:
    [call] = wire.message(messages=QUESTION, tools=[WEATHER], max_tokens=ROOM)["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def tool_choice_none(wire: Wire) -> None:
    asked: dict[str, Any] = {"messages": QUESTION, "tools": [WEATHER], "max_tokens": ROOM}
    said = wire.message(tool_choice="none", **asked)
    assert "tool_calls" not in said
    assert said["content"]


def forced(choice: Any) -> Callable[[Wire], None]:
    def check(wire: Wire) -> None:
        """Nobody asked for the weather."""
        asked: dict[str, Any] = {"tools": [WEATHER], "tool_choice": choice, "max_tokens": ROOM}
        for seed in range(3):
            said = wire.message(temperature=1.3, seed=seed, parallel_tool_calls=False, **asked)
            [call] = said["tool_calls"]
            assert call["function"]["name"] == "get_weather"
            keeps_to_city(call["function"]["arguments"])

    return check


def parallel_tool_calls(wire: Wire) -> None:
    """The answer ends with the call, so even what would close it is not generated."""
    asked: dict[str, Any] = {"messages": QUESTION, "tools": [WEATHER], "max_tokens": ROOM}
    one, free = wire.chat(parallel_tool_calls=False, **asked), wire.chat(**asked)
    assert len(one["choices"][0]["message"]["tool_calls"]) == 1
    assert one["usage"]["completion_tokens"] < free["usage"]["completion_tokens"]


def json_object(wire: Wire) -> None:
    """The beginning tells: a model that knows no end would fill the context."""
    said = wire.message(response_format={"type": "json_object"}, temperature=1.3, seed=1)
    assert said["content"].lstrip().startswith("{")


def json_schema(wire: Wire) -> None:
    wanted = {"type": "json_schema", "json_schema": SCHEMA}
    for seed in range(4):
        asked: dict[str, Any] = {"response_format": wanted, "max_tokens": ROOM, "seed": seed}
        keeps_to_city(wire.message(temperature=1.3, **asked)["content"])


def reasoning_effort(wire: Wire) -> None:
    thinks = wire.message(reasoning_effort="high", max_tokens=ROOM)
    assert thinks["reasoning_content"].strip()
    assert "think>" not in thinks["reasoning_content"] + (thinks["content"] or "")
    assert "reasoning_content" not in wire.message(reasoning_effort="none")


def enable_thinking(wire: Wire) -> None:
    on, off = ({"enable_thinking": switch} for switch in (True, False))
    assert wire.message(chat_template_kwargs=on, max_tokens=ROOM)["reasoning_content"].strip()
    assert "reasoning_content" not in wire.message(chat_template_kwargs=off)
