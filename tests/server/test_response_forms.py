"""Answers of a certain form, over ``/v1/responses``: a schema, a call that is forced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from openai import OpenAI
from pydantic import BaseModel
from tests.server.conftest import Running, running
from tests.server.test_responses import WEATHER, events, post

CLOCK = {"type": "function", "name": "get_time", "parameters": {"type": "object"}}
HELLO = "你好!"


class Sky(BaseModel):
    sky: Literal["sunny", "rainy"]
    warm: bool


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({"models": {"pocket": {"backend": "numpy", "model": "pocket"}}}) as server:
        yield server


@pytest.fixture(scope="module")
def client(pocket: Running) -> Iterator[OpenAI]:
    with pocket.client() as opened:
        yield opened


def test_parse(client: OpenAI) -> None:
    answer = client.responses.parse(model="pocket", input=HELLO, text_format=Sky, temperature=0)
    assert isinstance(answer.output_parsed, Sky)
    assert answer.text is not None
    assert answer.text.format is not None
    assert answer.text.format.type == "json_schema"


def test_parse_in_a_stream(client: OpenAI) -> None:
    with client.responses.stream(
        model="pocket", input=HELLO, text_format=Sky, temperature=0
    ) as stream:
        list(stream)
        assert isinstance(stream.get_final_response().output_parsed, Sky)


def test_any_object(pocket: Running) -> None:
    text = {"format": {"type": "json_object"}}
    whole = post(pocket, input=HELLO, text=text, max_output_tokens=200)
    said = whole["output"][0]["content"][0]["text"]
    assert said.startswith("{")
    if whole["status"] == "completed":
        assert isinstance(json.loads(said), dict)


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "name": "get_weather"},
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    ],
)
def test_a_call_is_forced(pocket: Running, choice: Any) -> None:
    told = events(pocket, input=HELLO, tools=[WEATHER, CLOCK], tool_choice=choice)
    final = told[-1]["response"]
    assert final["tool_choice"] == choice
    call = final["output"][0]
    assert call["type"] == "function_call"
    if choice != "required":
        assert call["name"] == "get_weather"
        assert json.loads(call["arguments"]).keys() == {"city"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tool_choice": {"type": "function", "name": "nope"}}, "tool_choice.name"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "nope"}],
                }
            },
            "tool_choice.tools[0].name",
        ),
        ({"text": {"format": {"type": "json_schema", "name": "a b"}}}, "text.format.name"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": 5}}}},
            "text.format.schema",
        ),
    ],
)
def test_refused_in_the_words_of_the_request(
    pocket: Running, change: dict[str, Any], param: str
) -> None:
    body = {"model": "pocket", "input": HELLO, "tools": [{"type": "web_search"}, WEATHER]}
    answer = pocket.post({**body, **change}, "/responses")
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"].startswith(param)
    assert "response_format" not in error["message"]
    assert "function.name" not in error["message"]
