"""``/v1/responses`` through the official SDK, with the bundled model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseInputParam,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from pydantic import TypeAdapter
from tests.server.conftest import Running, running

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name."}},
        "required": ["city"],
    },
    "strict": None,
}
QUESTION = "What is the weather in Paris?"
INTRODUCE = "你好!请介绍一下你自己。"
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    config = {"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}
    with running(config) as server:
        yield server


@pytest.fixture(scope="module")
def client(pocket: Running) -> Iterator[OpenAI]:
    with pocket.client() as opened:
        yield opened


def post(pocket: Running, **body: Any) -> dict[str, Any]:
    """A response, held against OpenAI's own type."""
    answer = pocket.post({"model": "pocket", "temperature": 0, **body}, "/responses")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    Response.model_validate(told, strict=False)
    return told


def events(pocket: Running, **body: Any) -> list[dict[str, Any]]:
    """The events of a stream, each held against OpenAI's own type."""
    sent = {"model": "pocket", "temperature": 0, "stream": True, **body}
    answer = pocket.post(sent, "/responses")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = []
    for number, frame in enumerate(answer.text.removesuffix("\n\n").split("\n\n")):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        EVENTS.validate_python(event)
        told.append(event)
    return told


def kinds(told: list[dict[str, Any]]) -> list[str]:
    """Types of events, repeated ones once."""
    names = [event["type"].removeprefix("response.") for event in told]
    pairs = zip(names, ["", *names], strict=False)
    return [name for name, before in pairs if name != before]


def same(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what is new in every answer."""
    return {name: value for name, value in item.items() if name not in ("id", "call_id")}


def test_a_text_is_answered_as_in_a_chat(client: OpenAI) -> None:
    answer = client.responses.create(model="pocket", input=INTRODUCE, temperature=0)
    chat = client.chat.completions.create(
        model="pocket", messages=[{"role": "user", "content": INTRODUCE}], temperature=0
    )
    assert answer.output_text == chat.choices[0].message.content
    assert answer.id.startswith("resp_")
    assert answer.object == "response"
    assert answer.status == "completed"
    assert answer.error is None
    assert answer.model == "pocket"
    [message] = answer.output
    assert isinstance(message, ResponseOutputMessage)
    assert message.status == "completed"
    assert answer.usage is not None
    assert chat.usage is not None
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.output_tokens == chat.usage.completion_tokens
    assert answer.usage.total_tokens == chat.usage.total_tokens
    assert answer.usage.output_tokens_details.reasoning_tokens == 0


def test_instructions_are_the_system_message(client: OpenAI) -> None:
    told = "You are a helpful assistant. Answer in English."
    answer = client.responses.create(
        model="pocket", instructions=told, input="你好", temperature=0, max_output_tokens=16
    )
    chat = client.chat.completions.create(
        model="pocket",
        messages=[{"role": "system", "content": told}, {"role": "user", "content": "你好"}],
        temperature=0,
        max_tokens=16,
    )
    assert answer.instructions == told
    assert answer.usage is not None
    assert chat.usage is not None
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.output_text == chat.choices[0].message.content


def test_a_stream_tells_what_the_whole_is(pocket: Running) -> None:
    told = events(pocket, input=INTRODUCE)
    assert kinds(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert len(deltas) > 10
    whole = post(pocket, input=INTRODUCE)
    [message] = whole["output"]
    assert "".join(deltas) == message["content"][0]["text"]
    final = told[-1]["response"]
    assert [same(item) for item in final["output"]] == [same(message)]
    assert final["output"] == [told[-2]["item"]]
    assert final["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert told[0]["response"]["status"] == "in_progress"
    assert told[0]["response"]["output"] == []
    assert {event["response"]["id"] for event in told if "response" in event} == {final["id"]}


def test_thinking_is_an_item_of_its_own(pocket: Running) -> None:
    whole = post(pocket, input=INTRODUCE, reasoning={"effort": "low"})
    thought, message = whole["output"]
    assert thought["type"] == "reasoning"
    assert thought["summary"] == []
    assert thought["content"][0]["text"].strip()
    assert "think>" not in json.dumps(whole["output"])
    usage = whole["usage"]
    assert 0 < usage["output_tokens_details"]["reasoning_tokens"] < usage["output_tokens"]
    told = events(pocket, input=INTRODUCE, reasoning={"effort": "low"})
    assert kinds(told)[2:8] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    ended = told[-1]["response"]
    assert list(map(same, ended["output"])) == [same(thought), same(message)]
    assert ended["usage"]["output_tokens_details"] == usage["output_tokens_details"]


def test_no_effort_is_no_thinking(pocket: Running) -> None:
    whole = post(pocket, input=INTRODUCE, reasoning={"effort": "none"})
    assert [item["type"] for item in whole["output"]] == ["message"]
    assert whole["reasoning"] == {"effort": "none", "summary": None}


def test_a_round_with_a_tool(client: OpenAI) -> None:
    asked: ResponseInputParam = [{"role": "user", "content": QUESTION}]
    first = client.responses.create(model="pocket", input=asked, tools=[WEATHER], temperature=0)
    [call] = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Paris"}
    assert call.status == "completed"
    assert first.status == "completed"
    asked += [item.to_dict() for item in first.output]  # type: ignore[misc]  # as the SDK's guide
    result = '{"temperature": 18, "condition": "sunny"}'
    asked.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    second = client.responses.create(model="pocket", input=asked, tools=[WEATHER], temperature=0)
    assert [item.type for item in second.output] == ["message"]
    assert "18" in second.output_text
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens > 0


def test_a_call_streams(pocket: Running) -> None:
    told = events(pocket, input=QUESTION, tools=[WEATHER])
    assert kinds(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    item = told[-2]["item"]
    kind = "response.function_call_arguments.delta"
    deltas = [event["delta"] for event in told if event["type"] == kind]
    assert len(deltas) > 1
    assert "".join(deltas) == item["arguments"] == told[-3]["arguments"]
    assert json.loads(item["arguments"]) == {"city": "Paris"}
    assert told[2]["item"]["arguments"] == ""
    assert told[2]["item"]["call_id"] == item["call_id"]


def test_the_stream_helper_of_the_sdk(client: OpenAI) -> None:
    with client.responses.stream(
        model="pocket",
        input=QUESTION,
        tools=[WEATHER],
        temperature=0,
        reasoning={"effort": "high"},
    ) as stream:
        seen = {event.type for event in stream}
        final = stream.get_final_response()
    assert {"response.reasoning_text.delta", "response.function_call_arguments.delta"} <= seen
    thought, call = final.output
    assert isinstance(thought, ResponseReasoningItem)
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "Paris"}


async def test_the_async_client(pocket: Running) -> None:
    async with AsyncOpenAI(base_url=pocket.url, api_key="any", max_retries=0) as client:
        whole = await client.responses.create(model="pocket", input="你好", temperature=0)
        stream = await client.responses.create(
            model="pocket", input="你好", temperature=0, stream=True
        )
        deltas = [
            event.delta async for event in stream if event.type == "response.output_text.delta"
        ]
    assert "".join(deltas) == whole.output_text


def test_the_next_turn_by_items(pocket: Running) -> None:
    """What a response said goes back as it came, thinking included, and makes a chat's prompt."""
    first = post(pocket, input=[{"role": "user", "content": "你好"}], reasoning={"effort": "low"})
    thought, message = first["output"]
    again = {"role": "user", "content": "谢谢"}
    second = post(
        pocket,
        input=[{"role": "user", "content": "你好"}, *first["output"], again],
        max_output_tokens=8,
    )
    turn = {
        "role": "assistant",
        "content": message["content"][0]["text"],
        "reasoning": thought["content"][0]["text"],
    }
    chat = {
        "model": "pocket",
        "temperature": 0,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "你好"}, turn, again],
    }
    assert pocket.post(chat).json()["usage"]["prompt_tokens"] == second["usage"]["input_tokens"]


@pytest.mark.parametrize("effort", ["none", "high"])
def test_cut_off(pocket: Running, effort: str) -> None:
    body = {"input": INTRODUCE, "max_output_tokens": 5, "reasoning": {"effort": effort}}
    whole = post(pocket, **body)
    assert whole["status"] == "incomplete"
    assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
    assert whole["usage"]["output_tokens"] == 5
    [item] = whole["output"]
    assert item["type"] == ("message" if effort == "none" else "reasoning")
    assert item["status"] == "incomplete"
    told = events(pocket, **body)
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_cut_off_inside_of_a_call(pocket: Running) -> None:
    told = events(pocket, input=QUESTION, tools=[WEATHER], max_output_tokens=16)
    [item] = told[-1]["response"]["output"]
    assert item["type"] == "function_call"
    assert item["status"] == "incomplete"
    assert '{"city": "Paris"}'.startswith(item["arguments"])
    assert "function_call_arguments.done" in kinds(told)


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.responses.create(
        model="pocket",
        input="你好",
        temperature=0,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        max_output_tokens=4,
    )
    [message] = answer.output
    assert isinstance(message, ResponseOutputMessage)
    [text] = message.content
    assert isinstance(text, ResponseOutputText)
    assert text.logprobs is not None
    assert "".join(told.token for told in text.logprobs) == text.text
    assert all(len(told.top_logprobs) == 2 for told in text.logprobs)
    plain = client.responses.create(model="pocket", input="你好", max_output_tokens=1)
    assert plain.output[0].to_dict()["content"][0]["logprobs"] == []  # type: ignore[index]


def test_log_probabilities_of_a_stream(pocket: Running) -> None:
    body = {"input": "你好", "max_output_tokens": 4, "top_logprobs": 1}
    told = events(pocket, **body)
    whole = post(pocket, **body)["output"][0]["content"][0]["logprobs"]
    streamed = [event["logprobs"] for event in told if "delta" in event]
    assert [one for some in streamed for one in some] == whole
    assert len(whole) == 4


def test_a_request_is_told_back(pocket: Running) -> None:
    whole = post(
        pocket,
        input="你好",
        max_output_tokens=1,
        metadata={"job": "7"},
        tools=[{"type": "web_search"}, WEATHER],
        tool_choice="auto",
        parallel_tool_calls=False,
        top_p=0.5,
        store=True,
        user="me",
    )
    assert whole["metadata"] == {"job": "7"}
    assert [tool["name"] for tool in whole["tools"]] == ["get_weather"]
    assert whole["parallel_tool_calls"] is False
    assert (whole["temperature"], whole["top_p"]) == (0, 0.5)
    assert whole["store"] is False
    assert whole["user"] == "me"
    assert whole["text"]["format"] == {"type": "text"}
