"""What of a response request is taken, and what is refused or left out by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.server.conftest import TOY, Config, Running, running
from tests.server.test_disconnect import send_raw, wait_working
from tests.server.test_responses import QUESTION, WEATHER

CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"}
ASKED = {"role": "user", "content": "Say hi"}
SAID = {"type": "input_text", "text": "Say hi"}
FORM = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
SEARCH = {"type": "web_search"}


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}) as server:
        yield server


def post(server: Running, model: str = "pocket", **body: Any) -> Any:
    return server.post({"model": model, "max_output_tokens": 1, **body}, "/responses")


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"input": None}, "input", "missing"),
        ({"input": 5}, "input", "string"),
        ({"input": []}, "input", "empty"),
        ({"input": [5]}, "input[0]", "object"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "'developer'"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "kept"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type", "'function_call'"),
        ({"input": [ASKED, RESULT]}, "input[1].call_id", "no assistant message"),
        (
            {"input": [ASKED, CALL, {**CALL, "call_id": "2", "arguments": "{"}]},
            "input[2].arguments",
            "JSON object",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
            "text only",
        ),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "nothing is kept"),
        ({"conversation": "conv_1"}, "conversation", "nothing is kept"),
        ({"background": True}, "background", "waits"),
        ({"prompt": {"id": "p"}}, "prompt", "kept"),
        ({"truncation": "auto"}, "truncation", "never cut"),
        ({"max_tokens": 5}, "max_tokens", "max_output_tokens"),
        ({"messages": [ASKED]}, "messages", "input"),
        ({"max_output_token": 5}, "max_output_token", "'max_output_tokens'"),
        ({"max_output_tokens": 0}, "max_output_tokens", "1"),
        ({"max_output_tokens": 9999}, "input", "max_output_tokens asks for 9999"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "'minimal'"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name", "pattern"),
        ({"tools": [SEARCH, WEATHER, WEATHER]}, "tools[2].name", "name of its own"),
        ({"tools": [{"name": "a"}]}, "tools[0].type", "missing"),
        ({"tool_choice": SEARCH}, "tool_choice.type", "'function'"),
        ({"tool_choice": "required", "tools": [SEARCH]}, "tool_choice", "no tools"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format", ""),
        ({"text": {"format": {}}}, "text.format", ""),
        ({"text": {"format": {"type": "json_object", "schema": {}}}}, "text.format.schema", "only"),
        ({"text": {"format": {**FORM, "shema": {}}}}, "text.format.shema", "'schema'"),
        ({"reasoning": {"efort": "low"}}, "reasoning.efort", "'effort'"),
        ({"text": {"fromat": {}}}, "text.fromat", "'format'"),
        ({"text": {"verbosity": "high"}}, "text.verbosity", "message"),
        ({"top_logprobs": 21}, "top_logprobs", "20"),
        ({"metadata": {"a": 1}}, "metadata.a", "string"),
    ],
)
def test_refused_by_name(pocket: Running, change: dict[str, Any], param: str, words: str) -> None:
    answer = post(pocket, **{"input": "hi", **change})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"].startswith(param) if param == "text.format" else error["param"] == param
    assert words in error["message"]
    assert "messages[" not in error["message"]
    assert error["type"] == "invalid_request_error"


def test_an_unknown_model(toys: Running) -> None:
    answer = post(toys, "nobody", input="hi")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [ASKED, CALL, RESULT]}, "input[1]"),
        ({"input": "hi", "tools": [SEARCH, WEATHER]}, "tools"),
        ({"input": "hi", "reasoning": {"effort": "low"}}, "reasoning.effort"),
    ],
)
def test_what_the_template_drops(toys: Running, body: dict[str, Any], param: str) -> None:
    error = post(toys, "toy", **body).json()["error"]
    assert error["param"] == param
    assert error["message"].startswith(param)
    assert error["code"] == "unsupported_parameter"


def test_what_is_left_out_is_named(pocket: Running) -> None:
    answer = post(
        pocket,
        input=[
            {"role": "user", "content": [{**SAID, "cache_control": {"type": "ephemeral"}}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "sealed"},
            {**ASKED, "weight": 1},
        ],
        tools=[SEARCH, {"type": "custom", "name": "x"}, {**WEATHER, "defer_loading": False}],
        include=["reasoning.encrypted_content"],
        reasoning={"summary": "auto"},
        client_metadata={"session": "1"},
        x_mine=1,
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-enginebay-ignored"].split(", ") == [
        "x_mine",
        "input[].content[].cache_control",
        "input[].weight",
        "tools[].defer_loading",
        "tools[web_search]",
        "tools[custom]",
        "include[reasoning.encrypted_content]",
        "reasoning.summary",
        "input[reasoning].encrypted_content",
    ]


def test_the_strict_refuse_what_has_no_effect(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"unknown_fields": "reject"}, "models": {"toy": TOY}})
    for body, param in (
        ({"tools": [SEARCH]}, "tools[web_search]"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
        ({"x_mine": 1}, "x_mine"),
    ):
        error = post(server, "toy", input="hi", **body).json()["error"]
        assert error["param"] == param
    assert post(server, "toy", input="hi", store=True, metadata={}).status_code == 200


def test_tools_left_out_are_not_shown_to_the_model(pocket: Running) -> None:
    plain = post(pocket, input=QUESTION).json()["usage"]["input_tokens"]
    skipped = post(pocket, input=QUESTION, tools=[SEARCH]).json()["usage"]["input_tokens"]
    offered = post(pocket, input=QUESTION, tools=[SEARCH, WEATHER]).json()["usage"]["input_tokens"]
    assert plain == skipped < offered


def part(text: str) -> dict[str, str]:
    return {"type": "input_text", "text": text}


def test_items_make_the_prompt_of_the_same_chat(pocket: Running) -> None:
    """Calls that stand together are one turn, and so are the words before and after them."""
    said = {"type": "output_text", "text": "I'll look.", "annotations": []}
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [part("Say "), part("hi")]},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [said]},
        CALL,
        {**CALL, "call_id": "call_2"},
        RESULT,
        {**RESULT, "call_id": "call_2", "output": [part("rain")]},
        {"role": "assistant", "content": "Sunny."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ASKED,
    ]
    function = {"name": "get_weather", "arguments": "{}"}
    calls = [{"id": f"call_{i}", "type": "function", "function": function} for i in (1, 2)]
    messages = [
        {"role": "system", "content": "Help."},
        {"role": "developer", "content": "Be brief."},
        ASKED,
        {"role": "assistant", "content": "I'll look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
        {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
        {"role": "assistant", "content": "Sunny."},
        {"role": "assistant", "content": "No."},
        ASKED,
    ]
    usage = post(pocket, input=items, instructions="Help.").json()["usage"]
    chat = pocket.post({"model": "pocket", "messages": messages, "max_tokens": 1}).json()["usage"]
    assert usage["input_tokens"] == chat["prompt_tokens"]


def test_nothing_is_kept(client: OpenAI, toys: Running) -> None:
    made = client.responses.create(model="toy", input="hi", max_output_tokens=1)
    asks: list[Callable[[], Any]] = [
        lambda: client.responses.retrieve(made.id),
        lambda: client.responses.delete(made.id),
        lambda: client.responses.cancel(made.id),
        lambda: client.responses.input_items.list(made.id),
    ]
    for ask in asks:
        with pytest.raises(openai.NotFoundError, match="keeps none") as caught:
            ask()
        assert caught.value.code == "response_not_found"
    wrong = toys.http.get(toys.url + "/responses")
    assert wrong.status_code == 405


def test_a_failure_before_the_first_event_keeps_its_status(
    start: Callable[[Config], Running],
) -> None:
    server = start({"models": {"toy": {**TOY, "options": {"raise_at_step": 1}}}})
    answer = post(server, "toy", input="hi", stream=True)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "engine_error"


def test_a_later_failure_is_told_in_the_stream(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"toy": {**TOY, "options": {"raise_at_step": 4}}}})
    text = post(server, "toy", input="hi", stream=True, max_output_tokens=50, ignore_eos=True).text
    frames = [json.loads(frame.split("data: ")[1]) for frame in text.strip().split("\n\n")]
    error, failed = frames[-2:]
    assert error["type"] == "error"
    assert error["code"] == error["error"]["code"] == "engine_error"
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == "server_error"
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))


def test_the_sdk_raises_a_later_failure(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"toy": {**TOY, "options": {"raise_at_step": 4}}}})
    with server.client() as client, pytest.raises(openai.APIError, match="toy"):
        list(
            client.responses.create(
                model="toy", input="hi", stream=True, extra_body={"ignore_eos": True}
            )
        )


@pytest.mark.parametrize("stream", [False, True])
def test_leaving_frees_the_engine(toys: Running, stream: bool) -> None:
    body = {"model": "slow", "input": "Say hi", "max_output_tokens": 1500, "stream": stream}
    with send_raw(toys, body, "responses"):
        wait_working(toys, 1)
    toys.wait_idle("slow", seconds=1.0)
