"""What chat and completions answer fits OpenAI's own published types, strictly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.server.conftest import Running, running
from tests.server.test_tools import QUESTION, WEATHER

BODIES: list[dict[str, Any]] = [
    {"max_tokens": 8},
    {"max_tokens": 8, "n": 2, "logprobs": True, "top_logprobs": 2},
    {"tools": [WEATHER], "reasoning_effort": "low"},
]


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}) as server:
        yield server


def chunks(text: str) -> list[dict[str, Any]]:
    *frames, done = text.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


@pytest.mark.parametrize("change", BODIES)
def test_a_chat(pocket: Running, change: dict[str, Any]) -> None:
    body = {"model": "pocket", "messages": QUESTION, "temperature": 0, **change}
    ChatCompletion.model_validate_json(pocket.post(body).text, strict=True)
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    for chunk in chunks(pocket.post(streamed).text):
        ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)


@pytest.mark.parametrize("change", [{}, {"logprobs": 2, "n": 2}])
def test_a_completion(pocket: Running, change: dict[str, Any]) -> None:
    body = {"model": "pocket", "prompt": "Hello", "max_tokens": 4, **change}
    path = "/completions"
    Completion.model_validate_json(pocket.post(body, path).text, strict=True)
    for chunk in chunks(pocket.post({**body, "stream": True}, path).text):
        for choice in chunk["choices"]:  # the type is of whole answers, which always have one
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        Completion.model_validate_json(json.dumps(chunk), strict=True)


def test_a_model(pocket: Running) -> None:
    Model.model_validate_json(pocket.http.get(pocket.url + "/models/pocket").text, strict=True)
