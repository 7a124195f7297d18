"""What of tools and thinking in a request is taken, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.server.conftest import Config, Running, running
from tests.server.test_tools import BODY, QUESTION, WEATHER


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}) as server:
        yield server


def call(arguments: str = "{}", call_id: str = "call_1") -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": arguments}
    tool_call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call]}


def reply(call_id: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "18 degrees"}


def named(**change: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **change}}


def allowed(*names: str) -> dict[str, Any]:
    tools = [named(name=name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"tools": {"a": 1}}, "tools", "list"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "'function'"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing"),
        ({"tools": [named(name="a b")]}, "tools[0].function.name", "pattern"),
        ({"tools": [named(name="x" * 65)]}, "tools[0].function.name", "pattern"),
        ({"tools": [named(parameters=[])]}, "tools[0].function.parameters", "object"),
        ({"tools": [named(strict="yes")]}, "tools[0].function.strict", "true or false"),
        ({"tools": [named(), named()]}, "tools[1].function.name", "tools[0]"),
        ({"tools": [named(name=f"f{i}") for i in range(129)]}, "tools", "128"),
        ({"tool_choice": named()}, "tool_choice.function.name", "'f', which is none of the tools"),
        (
            {"tool_choice": allowed("get_weather", "f")},
            "tool_choice.allowed_tools.tools[1].function.name",
            "'f'",
        ),
        ({"tool_choice": allowed()}, "tool_choice.allowed_tools.tools", "is empty"),
        ({"tools": None, "tool_choice": allowed("f")}, "tool_choice.allowed_tools.tools", "none"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", "missing"),
        (
            {"tools": [WEATHER, named(parameters={"type": "x"})], "tool_choice": "required"},
            "tools[1].function.parameters",
            "'x'",
        ),
        (
            {"tools": [named(strict=True, parameters={"properties": []})]},
            "tools[0].function.parameters",
            "properties",
        ),
        (
            {"tools": [named(parameters={"$ref": "#"})], "tool_choice": "required"},
            "tools[0].function.parameters",
            "circle",
        ),
        ({"tool_choice": "any"}, "tool_choice", "'none', 'auto' or 'required'"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function", "missing"),
        ({"tool_choice": "required", "tools": []}, "tool_choice", "no tools"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "'minimal'"),
        (
            {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
            "reasoning_effort",
            "one of them",
        ),
        (
            {"chat_template_kwargs": {"chat_template": "x"}},
            "chat_template_kwargs.chat_template",
            "may not set",
        ),
        (
            {"messages": [*QUESTION, call("{oops"), reply()]},
            "messages[1].tool_calls[0].function.arguments",
            "JSON object",
        ),
        (
            {"messages": [*QUESTION, call("[1]"), reply()]},
            "messages[1].tool_calls[0].function.arguments",
            "JSON object",
        ),
        (
            {"messages": [*QUESTION, call("{" * 50_000), reply()]},
            "messages[1].tool_calls[0].function.arguments",
            "JSON object",
        ),
        (
            {"messages": [*QUESTION, call('{"a": "\\ud800"}'), reply()]},
            "messages[1].tool_calls[0].function.arguments",
            "JSON object",
        ),
        (
            {"messages": [*QUESTION, call(), reply("call_2")]},
            "messages[2].tool_call_id",
            "'call_2'",
        ),
        ({"messages": [*QUESTION, reply(), call()]}, "messages[1].tool_call_id", "before it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_by_name(
    pocket: Running, change: dict[str, Any], param: str, words: str
) -> None:
    answer = pocket.post({**BODY, **change})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert len(answer.content) < 1000


def test_arguments_of_earlier_calls_reach_the_template_as_an_object(pocket: Running) -> None:
    def prompt_tokens(arguments: str) -> int:
        messages = [*QUESTION, call(arguments), reply()]
        answer = pocket.post({**BODY, "messages": messages, "max_tokens": 1})
        return int(answer.json()["usage"]["prompt_tokens"])

    assert prompt_tokens('{"city":"Paris"}') == prompt_tokens('{ "city":   "Paris" }')
    assert prompt_tokens("") == prompt_tokens("{}")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_earlier_thinking_reaches_the_template(pocket: Running, field: str) -> None:
    def prompt_tokens(**extra: str) -> int:
        messages = [*QUESTION, {**call(), **extra}, reply()]
        answer = pocket.post({**BODY, "messages": messages, "max_tokens": 1})
        assert "x-enginebay-ignored" not in answer.headers
        return int(answer.json()["usage"]["prompt_tokens"])

    assert prompt_tokens(**{field: "I have to look it up."}) > prompt_tokens() + 4


def test_a_model_whose_template_drops_tools_refuses_them(toys: Running) -> None:
    body = {"model": "toy", "messages": QUESTION, "max_tokens": 1}
    error = toys.post({**body, "tools": [WEATHER]}).json()["error"]
    assert (error["param"], error["code"]) == ("tools", "unsupported_parameter")
    assert toys.post({**body, "tools": [WEATHER], "tool_choice": "none"}).is_success
    error = toys.post({**body, "reasoning_effort": "low"}).json()["error"]
    assert (error["param"], error["code"]) == ("reasoning_effort", "unsupported_parameter")
    thought = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}
    answer = toys.post({**body, "messages": [*QUESTION, thought, *QUESTION]})
    assert answer.headers["x-enginebay-ignored"] == "messages[].reasoning_content"


def test_an_operator_may_allow_template_variables(start: Callable[[Config], Running]) -> None:
    pocket = {"backend": "numpy", "model": "pocket", "template_kwargs": ["tone"]}
    server = start({"models": {"pocket": {**pocket, "tool_parser": "none"}}})
    body = {**BODY, "tools": [], "max_tokens": 1}
    assert server.post({**body, "chat_template_kwargs": {"tone": "kind"}}).is_success
    error = server.post({**body, "chat_template_kwargs": {"mood": 1}}).json()["error"]
    assert error["param"] == "chat_template_kwargs.mood"
    page = server.http.get(f"{server.url}/models/pocket").json()["capabilities"]
    assert page["chat_template_kwargs.tone"] == {"support": "native"}
    assert "tool_parser" in page["tools"]["reason"]
    error = server.post(BODY).json()["error"]
    assert (error["param"], error["code"]) == ("tools", "unsupported_parameter")


def test_a_completion_takes_no_tools(pocket: Running) -> None:
    body = {"model": "pocket", "prompt": "x", "tools": [WEATHER]}
    error = pocket.post(body, "/completions").json()["error"]
    assert error["param"] == "tools"
    assert "/v1/chat/completions" in error["message"]
