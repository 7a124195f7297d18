"""Tool calls through the official SDK, with the bundled model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall as FunctionToolCall
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from tests.server.conftest import Running, running

from enginebay_core.api import Conversation, JsonValue, Message

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city's name."}},
            "required": ["city"],
        },
    },
}
QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the weather in Paris?"}
]
BODY: dict[str, Any] = {
    "model": "pocket",
    "messages": QUESTION,
    "tools": [WEATHER],
    "temperature": 0,
}


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    config = {"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}
    with running(config) as server:
        yield server


@pytest.fixture(scope="module")
def client(pocket: Running) -> Iterator[OpenAI]:
    with pocket.client() as opened:
        yield opened


def message_of(pocket: Running, **change: Any) -> dict[str, Any]:
    answer = pocket.post({**BODY, **change})
    assert answer.status_code == 200, answer.text
    [choice] = answer.json()["choices"]
    return {**choice["message"], "finish_reason": choice["finish_reason"]}


def test_the_model_calls_a_tool(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="pocket", messages=QUESTION, tools=[WEATHER], temperature=0
    )
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert isinstance(call, FunctionToolCall)
    assert call.id.startswith("call_")
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 8


def test_the_arguments_stream(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="pocket",
            messages=QUESTION,
            tools=[WEATHER],
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *answering, last = chunks
    deltas = [chunk.choices[0].delta for chunk in answering]
    first, *others = [part for delta in deltas for part in delta.tool_calls or ()]
    assert first.model_dump(exclude_unset=True) == {
        "index": 0,
        "id": first.id,
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert len(others) > 1
    for part in others:
        assert part.function is not None
        assert part.model_dump(exclude_unset=True) == {
            "index": 0,
            "function": {"arguments": part.function.arguments},
        }
    text = "".join(part.function.arguments or "" for part in others if part.function)
    assert json.loads(text) == {"city": "Paris"}
    assert not any(delta.content for delta in deltas)
    assert answering[-1].choices[0].finish_reason == "tool_calls"
    whole = client.chat.completions.create(
        model="pocket", messages=QUESTION, tools=[WEATHER], temperature=0
    )
    assert whole.usage is not None
    assert last.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_the_stream_helper_of_the_sdk(client: OpenAI) -> None:
    """It is stricter than the rest, and reads thinking too."""
    with client.chat.completions.stream(
        model="pocket",
        messages=QUESTION,
        tools=[WEATHER],
        temperature=0,
        reasoning_effort="high",
    ) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_completion().choices[0].message
    assert "tool_calls.function.arguments.delta" in kinds
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "get_weather"
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Paris"}


async def test_a_whole_round_with_the_async_client(pocket: Running) -> None:
    async with AsyncOpenAI(base_url=pocket.url, api_key="any", max_retries=0) as client:
        messages = list(QUESTION)
        asked = await client.chat.completions.create(
            model="pocket", messages=messages, tools=[WEATHER], temperature=0
        )
        said = asked.choices[0].message
        assert said.tool_calls is not None
        messages.append(said.to_dict())  # type: ignore[arg-type]  # the SDK takes its own answers
        result = '{"temperature": 18, "condition": "sunny"}'
        call_id = said.tool_calls[0].id
        messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        answer = await client.chat.completions.create(
            model="pocket", messages=messages, tools=[WEATHER], temperature=0
        )
        assert answer.choices[0].finish_reason == "stop"
        assert answer.choices[0].message.content
        assert not answer.choices[0].message.tool_calls


def test_thinking_and_a_call(pocket: Running) -> None:
    message = message_of(pocket, reasoning_effort="low")
    assert message["reasoning"] == message["reasoning_content"]
    assert message["reasoning"].strip()
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["name"] == "get_weather"
    assert "reasoning" not in message_of(pocket, reasoning_effort="none")
    assert "reasoning" not in message_of(pocket, reasoning_effort="minimal")


def test_every_choice_has_calls_of_its_own(pocket: Running) -> None:
    answer = pocket.post({**BODY, "n": 3}).json()
    calls = [choice["message"]["tool_calls"] for choice in answer["choices"]]
    assert len({call["id"] for [call] in calls}) == 3
    assert {call["function"]["name"] for [call] in calls} == {"get_weather"}


def test_none_calls_nothing_and_shows_the_same_prompt(pocket: Running) -> None:
    auto = pocket.post(BODY).json()
    none = pocket.post({**BODY, "tool_choice": "none"}).json()
    message = none["choices"][0]["message"]
    assert "tool_calls" not in message
    assert message["content"]
    assert "<tool_call>" not in message["content"]
    assert none["choices"][0]["finish_reason"] == "stop"
    assert none["usage"]["prompt_tokens"] == auto["usage"]["prompt_tokens"]


def test_one_call_only(pocket: Running) -> None:
    """The answer ends with the call, so even the tag that would close it is not generated."""
    several = pocket.post(BODY).json()
    one = pocket.post({**BODY, "parallel_tool_calls": False}).json()
    assert len(one["choices"][0]["message"]["tool_calls"]) == 1
    assert one["choices"][0]["finish_reason"] == "tool_calls"
    assert one["usage"]["completion_tokens"] < several["usage"]["completion_tokens"]


def test_cut_off_inside_of_a_call(pocket: Running) -> None:
    whole = message_of(pocket)["tool_calls"][0]["function"]["arguments"]
    seen = set()
    for length in range(1, 20):
        message = message_of(pocket, max_tokens=length)
        assert message["finish_reason"] == "length"
        assert not message["content"]
        for call in message.get("tool_calls", ()):
            assert whole.startswith(call["function"]["arguments"])
            seen.add(call["function"]["arguments"])
    assert len(seen) > 3


def test_stop_strings_leave_calls_alone(pocket: Running) -> None:
    [made] = message_of(pocket, stop=["Paris", "{"])["tool_calls"]
    assert json.loads(made["function"]["arguments"]) == {"city": "Paris"}


def test_logprobs_are_of_the_content_alone(pocket: Running) -> None:
    answer = pocket.post({**BODY, "logprobs": True}).json()
    assert answer["choices"][0]["logprobs"]["content"] == []


def test_empty_tools_are_none(pocket: Running) -> None:
    plain = {key: value for key, value in BODY.items() if key != "tools"}
    expected = pocket.post(plain).json()["usage"]["prompt_tokens"]
    nothing: list[list[Any] | None] = [[], None]
    for tools in nothing:
        answer = pocket.post({**plain, "tools": tools, "tool_choice": "auto"}).json()
        assert answer["usage"]["prompt_tokens"] == expected


def test_the_template_sees_tools_as_they_were_sent(pocket: Running) -> None:
    """Key order and unknown keywords included; ``strict`` is an order to us."""
    function: dict[str, JsonValue] = {
        "parameters": {"x-b": 1, "type": "object"},
        "name": "f",
        "description": "é",
    }
    tool = {"function": {**function, "strict": True}, "type": "function"}
    answer = pocket.post({**BODY, "tools": [tool], "max_tokens": 1})
    assert "x-enginebay-ignored" not in answer.headers
    shown: dict[str, JsonValue] = {"function": function, "type": "function"}
    asked = Conversation((Message("user", "What is the weather in Paris?"),), (shown,))
    prompt = pocket.models.running("pocket").tokenizer.render(asked)
    assert json.dumps(function, ensure_ascii=False) in prompt.text
    assert answer.json()["usage"]["prompt_tokens"] == len(prompt.ids)
