"""Server-sent events: what is in them, and when they come."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from tests.server.conftest import TOY, Config, Running

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hi"}]
GREEDY = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 20}


def chunks_of(server: Running, body: dict[str, Any], path: str = "/chat/completions") -> list[Any]:
    """All data frames; the last is the string ``[DONE]``."""
    answer = server.post({**body, "stream": True}, path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    data = [frame for frame in frames if not frame.startswith(":")]
    return [json.loads(frame) for frame in data[:-1]] + [data[-1]]


def test_a_stream_joins_to_the_whole_answer(toys: Running) -> None:
    *chunks, last = chunks_of(toys, GREEDY)
    whole = toys.post(GREEDY).json()["choices"][0]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert last == "[DONE]"
    assert "".join(delta.get("content", "") for delta in deltas) == whole["message"]["content"]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert all("role" not in delta for delta in deltas[1:])
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons[-1] == whole["finish_reason"] == "length"
    assert set(reasons[:-1]) == {None}


def test_what_is_constant_is_constant(toys: Running) -> None:
    *chunks, _ = chunks_of(toys, GREEDY)
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in chunks}
    [(identity, kind, created, model)] = heads
    assert identity.startswith("chatcmpl-")
    assert (kind, model) == ("chat.completion.chunk", "toy")
    assert isinstance(created, int)
    assert all("usage" not in chunk for chunk in chunks)


def test_each_token_is_a_frame(toys: Running) -> None:
    *chunks, _ = chunks_of(toys, GREEDY)
    texts = [chunk for chunk in chunks if chunk["choices"][0]["delta"].get("content")]
    assert len(texts) == 20


def test_usage_comes_last_and_only_when_asked(toys: Running) -> None:
    *chunks, _ = chunks_of(toys, {**GREEDY, "stream_options": {"include_usage": True}})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == toys.post(GREEDY).json()["usage"]
    assert all("usage" not in chunk for chunk in chunks[:-1])


def test_n_streams_side_by_side(toys: Running) -> None:
    body = {**GREEDY, "n": 3, "temperature": 1, "seed": 5}
    *chunks, _ = chunks_of(toys, body)
    whole = [c["message"]["content"] for c in toys.post(body).json()["choices"]]
    texts = ["", "", ""]
    finished = []
    for chunk in chunks:
        [choice] = chunk["choices"]
        assert choice["index"] not in finished
        texts[choice["index"]] += choice["delta"].get("content", "")
        if choice["finish_reason"]:
            finished.append(choice["index"])
    assert texts == whole
    assert sorted(finished) == [0, 1, 2]


def test_text_comes_while_it_is_made(toys: Running) -> None:
    with toys.client() as client:
        arrived = [
            time.monotonic()
            for chunk in client.chat.completions.create(
                model="slow", messages=HELLO, max_tokens=20, stream=True
            )
        ]
    assert arrived[-1] - arrived[0] > 0.2  # 20 tokens of 20 ms each


def test_the_sdks_stream_helper(client: OpenAI) -> None:
    whole = client.chat.completions.create(
        model="toy", messages=HELLO, temperature=0, max_tokens=20
    )
    expected = whole.choices[0].message.content or ""
    with client.chat.completions.stream(  # the helper refuses answers cut off by their length
        model="toy", messages=HELLO, temperature=0, max_tokens=20, stop=expected[-1]
    ) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == text == expected[: expected.index(expected[-1])]
    assert final.choices[0].finish_reason == "stop"


async def test_the_async_stream(toys: Running) -> None:
    async with AsyncOpenAI(base_url=toys.url, api_key="any", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="toy", messages=HELLO, temperature=0, max_tokens=20, stream=True
        )
        text = "".join([c.choices[0].delta.content or "" async for c in stream])
    assert text == toys.post(GREEDY).json()["choices"][0]["message"]["content"]


def test_a_stop_string_is_never_shown_in_part(toys: Running) -> None:
    text = toys.post(GREEDY).json()["choices"][0]["message"]["content"]
    stop = text[5:9]
    *chunks, _ = chunks_of(toys, {**GREEDY, "stop": stop})
    shown = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert shown == text[: text.index(stop)]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_silence_is_broken_by_comments(start: Any) -> None:
    config: Config = {
        "server": {"keep_alive_seconds": 0.1},
        "models": {"slow": {**TOY, "options": {"step_seconds": 0.45}}},
    }
    server: Running = start(config)
    body = {"model": "slow", "messages": HELLO, "max_tokens": 2, "stream": True}
    answer = server.post(body)
    assert answer.text.count(": keep-alive\n\n") >= 4
    assert answer.text.endswith("data: [DONE]\n\n")


def test_an_early_failure_keeps_its_status(toys: Running) -> None:
    answer = toys.post({**GREEDY, "stream": True, "max_tokens": 10**6})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_a_failure_at_the_first_step_keeps_its_status(start: Any) -> None:
    server: Running = start({"models": {"bad": {**TOY, "options": {"raise_at_step": 1}}}})
    answer = server.post({"model": "bad", "messages": HELLO, "stream": True})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert server.post({"model": "bad", "messages": HELLO, "max_tokens": 3}).status_code == 200


def test_a_later_failure_is_told_in_the_stream(start: Any) -> None:
    server: Running = start({"models": {"bad": {**TOY, "options": {"raise_at_step": 6}}}})
    body = {"model": "bad", "messages": HELLO, "stream": True}
    with httpx.stream("POST", server.url + "/chat/completions", json=body, timeout=30) as answer:
        text = answer.read().decode()
    assert answer.status_code == 200
    *_, error, done = [line for line in text.split("\n\n") if line]
    assert done == "data: [DONE]"
    assert json.loads(error.removeprefix("data: "))["error"]["type"] == "server_error"


def test_the_sdk_raises_a_later_failure(start: Any) -> None:
    server: Running = start({"models": {"bad": {**TOY, "options": {"raise_at_step": 6}}}})
    with server.client() as client, pytest.raises(APIError):
        for _ in client.chat.completions.create(model="bad", messages=HELLO, stream=True):
            pass
