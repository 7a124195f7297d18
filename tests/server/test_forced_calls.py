"""Forced calls through the official SDK, with the bundled model: their arguments always parse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall as FunctionToolCall
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from tests.server.conftest import Config, Running, running
from tests.server.test_tool_requests import allowed

GREETING: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello! Who are you?"}]
"""Nothing that would make the model call a tool."""

ROUTE = {
    "type": "object",
    "properties": {
        "mode": {"enum": ["walk", "drive"]},
        "stops": {
            "type": "array",
            "items": {"type": "string", "maxLength": 6},
            "minItems": 1,
            "maxItems": 2,
        },
        "fast": {"type": ["boolean", "null"]},
    },
    "required": ["mode", "stops", "fast"],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "plan_route": ROUTE,
    "get_time": {"type": "object", "properties": {}, "additionalProperties": False},
    "set_level": {
        "type": "object",
        "properties": {"level": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["level"],
    },
}


def tool(name: str, **more: Any) -> ChatCompletionToolParam:
    function: Any = {"name": name, "description": f"To {name}.", "parameters": SCHEMAS[name]}
    function |= more
    return {"type": "function", "function": function}


TOOLS = [tool(name) for name in SCHEMAS]
BODY: dict[str, Any] = {"model": "pocket", "messages": GREETING, "tools": TOOLS, "max_tokens": 600}


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    config: Config = {"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}
    with running(config) as server:
        yield server


@pytest.fixture(scope="module")
def client(pocket: Running) -> Iterator[OpenAI]:
    with pocket.client() as opened:
        yield opened


def choice_of(pocket: Running, **change: Any) -> dict[str, Any]:
    reply = pocket.post({**BODY, **change})
    assert reply.status_code == 200, reply.text
    [choice] = reply.json()["choices"]
    found: dict[str, Any] = choice
    return found


def calls_of(choice: dict[str, Any]) -> list[tuple[str, Any]]:
    """All valid under the schema of their tool; nothing is said beside them."""
    assert choice["finish_reason"] == "tool_calls", choice
    assert choice["message"]["content"] is None
    calls = []
    for call in choice["message"]["tool_calls"]:
        name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
        jsonschema_rs.validator_for(SCHEMAS[name]).validate(arguments)
        calls.append((name, arguments))
    return calls


def test_required_calls_something(client: OpenAI) -> None:
    for seed in range(4):
        answer = client.chat.completions.create(
            model="pocket",
            messages=GREETING,
            tools=TOOLS,
            tool_choice="required",
            parallel_tool_calls=False,
            seed=seed,
            temperature=1.4,
        )
        [choice] = answer.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        [call] = choice.message.tool_calls or []
        assert isinstance(call, FunctionToolCall)
        arguments = json.loads(call.function.arguments)
        jsonschema_rs.validator_for(SCHEMAS[call.function.name]).validate(arguments)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_named_function_is_called_once(client: OpenAI, name: str) -> None:
    with client.chat.completions.stream(
        model="pocket",
        messages=GREETING,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": name}},
        temperature=0,
    ) as stream:
        for _ in stream:
            pass
        [choice] = stream.get_final_completion().choices
    [call] = choice.message.tool_calls or []
    assert call.function.name == name
    jsonschema_rs.validator_for(SCHEMAS[name]).validate(json.loads(call.function.arguments))


def test_several_calls_are_allowed_unless_they_are_not(pocket: Running) -> None:
    """A bias towards the tag that begins a call, whenever it may come."""
    control = pocket.models.running("pocket").tokenizer.control
    again = {str(control["<tool_call>"]): 100, str(pocket_end(pocket)): -100}
    hurried = {"tools": [tool("get_time")], "tool_choice": "required", "logit_bias": again}
    cut = choice_of(pocket, **hurried, max_tokens=120)
    assert cut["finish_reason"] == "length"
    calls = cut["message"]["tool_calls"]
    assert len(calls) > 1
    assert all(call["function"]["arguments"].strip() == "{}" for call in calls[:-1])
    assert len(calls_of(choice_of(pocket, **hurried, parallel_tool_calls=False))) == 1


def pocket_end(pocket: Running) -> int:
    (end, *_) = pocket.models.running("pocket").stop_ids
    return end


def test_only_the_allowed_are_called(pocket: Running) -> None:
    names = set()
    for seed in range(4):
        choice = {**allowed("get_time", "set_level")}
        choice["allowed_tools"] = {**choice["allowed_tools"], "mode": "required"}
        change = {"tool_choice": choice, "seed": seed, "parallel_tool_calls": False}
        names |= {name for name, _ in calls_of(choice_of(pocket, **change, temperature=1.4))}
    assert names <= {"get_time", "set_level"}


def test_allowed_in_passing_leaves_words_as_they_are(pocket: Running) -> None:
    plain = choice_of(pocket, temperature=0)
    bound = choice_of(pocket, temperature=0, tool_choice=allowed("get_time"))
    assert plain["message"]["content"]
    assert bound == plain


def test_strict_arguments_are_kept_to_in_passing(pocket: Running) -> None:
    """The model calls on its own; once it does, what it says is valid."""
    control = pocket.models.running("pocket").tokenizer.control
    begin = {str(control["<tool_call>"]): 100}
    change = {"tools": [tool("plan_route", strict=True)], "logit_bias": begin}
    for seed in range(3):
        choice = choice_of(pocket, **change, seed=seed, temperature=1.4, parallel_tool_calls=False)
        assert [name for name, _ in calls_of(choice)] == ["plan_route"]
    plain = choice_of(pocket, tools=[tool("plan_route", strict=True)], temperature=0)
    assert plain["message"]["content"]


def test_a_format_or_a_call(pocket: Running) -> None:
    """Which of the two is the model's choice."""
    level = {"name": "level", "schema": SCHEMAS["set_level"]}
    change = {
        "tools": [tool("get_time", strict=True)],
        "response_format": {"type": "json_schema", "json_schema": level},
        "parallel_tool_calls": False,
    }
    control = pocket.models.running("pocket").tokenizer.control
    tag = str(control["<tool_call>"])
    said = choice_of(pocket, **change, logit_bias={tag: -100})
    assert 1 <= json.loads(said["message"]["content"])["level"] <= 5
    called = choice_of(pocket, **change, logit_bias={tag: 100})
    assert calls_of(called) == [("get_time", {})]


def test_thinking_comes_before_a_forced_call(pocket: Running) -> None:
    choice = choice_of(
        pocket,
        tool_choice={"type": "function", "function": {"name": "set_level"}},
        chat_template_kwargs={"enable_thinking": True},
        temperature=0,
    )
    assert choice["message"]["reasoning_content"]
    [(name, _)] = calls_of(choice)
    assert name == "set_level"


def test_a_model_whose_calls_nobody_reads_refuses(start: Any) -> None:
    pocket = {"backend": "numpy", "model": "pocket", "tool_parser": "none"}
    server = start({"models": {"pocket": pocket}})
    error = server.post({**BODY, "tool_choice": "required"}).json()["error"]
    assert (error["param"], error["code"]) == ("tools", "unsupported_parameter")
