"""The same for the other routes."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.matrix.wire import HELLO, LENGTH, QUESTION, ROOM, SCHEMA, WEATHER, Wire, keeps_to_city

OFFERED: Final[dict[str, Any]] = {"type": "function", "strict": None, **WEATHER["function"]}
FORMAT: Final = {"format": {"type": "json_schema", **SCHEMA}}


def prompt(wire: Wire) -> None:
    """A text, and the ids that it has."""
    ids = wire.ask("/tokenize", prompt="Hello")["tokens"]
    asked: dict[str, Any] = {"temperature": 0, "max_tokens": 8}
    by_text, by_ids = (wire.post("/completions", prompt=p, **asked) for p in ("Hello", ids))
    both = wire.post("/completions", prompt=["Hello", "Bye"], **asked)
    assert by_text["choices"][0]["text"] == by_ids["choices"][0]["text"]
    assert by_text["choices"][0]["text"] == both["choices"][0]["text"]
    assert [choice["index"] for choice in both["choices"]] == [0, 1]


def echo(wire: Wire) -> None:
    asked: dict[str, Any] = {"prompt": "Hello", "temperature": 0, "max_tokens": 8}
    plain = wire.post("/completions", **asked)
    echoed = wire.post("/completions", echo=True, **asked)
    assert echoed["choices"][0]["text"] == "Hello" + plain["choices"][0]["text"]
    assert echoed["usage"] == plain["usage"]


def logprobs(wire: Wire) -> None:
    asked: dict[str, Any] = {"prompt": "Hello", "temperature": 0, "max_tokens": 8}
    told = wire.post("/completions", logprobs=2, **asked)["choices"][0]["logprobs"]
    assert all(
        own == max(top.values())
        for own, top in zip(told["token_logprobs"], told["top_logprobs"], strict=True)
    )


def response_input(wire: Wire) -> None:
    """As in a chat, with the instructions for a system message."""
    turns = [{"role": "system", "content": "Be kind."}, *HELLO]
    asked: dict[str, Any] = {"temperature": 0, "max_output_tokens": LENGTH}
    told = wire.post("/responses", instructions="Be kind.", input=HELLO, **asked)
    assert text_of(told) == wire.message(messages=turns)["content"]


def response_stream(wire: Wire) -> None:
    asked: dict[str, Any] = {"input": HELLO, "temperature": 0, "max_output_tokens": LENGTH}
    events = wire.frames("/responses", **asked)
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == text_of(wire.post("/responses", **asked))
    assert len(deltas) > 1


def response_tools(wire: Wire) -> None:
    told = wire.post("/responses", input=QUESTION, tools=[OFFERED], temperature=0)
    [call] = [item for item in told["output"] if item["type"] == "function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})


def response_format(wire: Wire) -> None:
    told = wire.post(
        "/responses",
        input=HELLO,
        text=FORMAT,
        max_output_tokens=ROOM,
        temperature=1.3,
    )
    keeps_to_city(text_of(told))


def response_reasoning(wire: Wire) -> None:
    told = wire.post("/responses", input=HELLO, reasoning={"effort": "high"}, temperature=0)
    assert "reasoning" in [item["type"] for item in told["output"]]


def text_of(response: dict[str, Any]) -> str:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def tokens(wire: Wire) -> None:
    text = "a<|im_end|>中"
    ids = wire.ask("/tokenize", prompt=text)["tokens"]
    assert wire.ask("/detokenize", tokens=ids)["prompt"] == text
    rendered = wire.ask("/render", messages=HELLO)
    assert wire.ask("/tokenize", messages=HELLO)["tokens"] == rendered["tokens"]
