"""Structured output through the official SDK, with the bundled model on the numpy engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema_rs
import pytest
from openai import BadRequestError, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, Field
from tests.server.conftest import TOY, Running, running
from tests.server.schemas import SCHEMAS
from tests.server.structured_run import LONGEST, ask_all

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello! Who are you?"}]
POCKET = {"backend": "numpy", "model": "pocket"}


class Step(BaseModel):
    number: int = Field(ge=0, le=9)
    text: str = Field(max_length=12)


class Plan(BaseModel):
    kind: Literal["short", "long"]
    steps: list[Step] = Field(max_length=2)
    sure: bool


@pytest.fixture(scope="module", params=["inline", "process"])
def pocket(request: pytest.FixtureRequest) -> Iterator[Running]:
    """In both placements."""
    with running({"models": {"pocket": {**POCKET, "placement": request.param}}}) as server:
        yield server


@pytest.fixture(scope="module")
def client(pocket: Running) -> Iterator[OpenAI]:
    with pocket.client() as opened:
        yield opened


def json_schema(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def body(response_format: Any, **change: Any) -> dict[str, Any]:
    whole = {"model": "pocket", "messages": QUESTION, "max_tokens": LONGEST}
    return {**whole, "response_format": response_format, **change}


def answer(server: Running, response_format: Any, **change: Any) -> tuple[str, str]:
    """Content and finish reason."""
    reply = server.post(body(response_format, **change))
    assert reply.status_code == 200, reply.text
    [choice] = reply.json()["choices"]
    return choice["message"]["content"], choice["finish_reason"]


def test_every_schema_is_kept_to_streaming_or_not(pocket: Running) -> None:
    """All twenty; ``python -m tests.server.structured_run`` asks for a hundred, of any backend."""
    assert len(SCHEMAS) == 20
    assert [output for output in ask_all(pocket, "pocket", len(SCHEMAS)) if output.fault] == []


def test_parse_of_the_sdk(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(
        model="pocket", messages=QUESTION, response_format=Plan, max_tokens=LONGEST
    )
    [choice] = parsed.choices
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, Plan)


def test_the_stream_helper_of_the_sdk(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="pocket", messages=QUESTION, response_format=Plan, max_tokens=LONGEST
    ) as stream:
        events = list(stream)
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Plan)
    assert len([event for event in events if event.type == "content.delta"]) > 3


def test_any_object(pocket: Running) -> None:
    content, _ = answer(pocket, {"type": "json_object"}, temperature=0)
    assert content.startswith("{")
    for wanted in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "a"}}):
        content, finish = answer(pocket, wanted, stop='"', temperature=0)
        assert (content.strip(" \n"), finish) == ("{", "stop")
    free, _ = answer(pocket, {"type": "text"}, temperature=0, max_tokens=8)
    assert not free.startswith("{")


def test_choices_penalties_bias_and_least_length(pocket: Running) -> None:
    reply = pocket.post(
        body(
            json_schema(SCHEMAS["nested"]),
            n=4,
            seed=3,
            temperature=1.3,
            frequency_penalty=1.5,
            repetition_penalty=1.3,
            logit_bias={str(token): -100 for token in range(300)},
            min_tokens=LONGEST,
        )
    )
    assert reply.status_code == 200, reply.text
    contents = [choice["message"]["content"] for choice in reply.json()["choices"]]
    assert len(set(contents)) > 1
    for content in contents:
        jsonschema_rs.validator_for(SCHEMAS["nested"]).validate(json.loads(content))


def test_what_is_cut_off_says_so(pocket: Running) -> None:
    content, finish = answer(pocket, json_schema(SCHEMAS["nested"]), max_tokens=5)
    assert finish == "length"
    assert content.lstrip().startswith("{")


def test_thinking_comes_first(pocket: Running) -> None:
    """The model thinks as it likes, then answers as it must."""
    asked = body(
        json_schema(SCHEMAS["flat"]), chat_template_kwargs={"enable_thinking": True}, temperature=0
    )
    choice = pocket.post(asked).json()["choices"][0]
    message = choice["message"]
    assert message["reasoning_content"]
    assert choice["finish_reason"] == "stop"
    jsonschema_rs.validator_for(SCHEMAS["flat"]).validate(json.loads(message["content"]))


@pytest.mark.parametrize(
    ("wanted", "param", "words"),
    [
        ({"type": "yaml"}, "response_format.type", "json_schema"),
        ({}, "response_format.type", "missing"),
        ("json", "response_format", "object"),
        ({"type": "json_schema"}, "response_format.json_schema", "missing"),
        ({"type": "json_schema", "json_schema": {}}, "response_format.json_schema.name", "missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "a b"}},
            "response_format.json_schema.name",
            "pattern",
        ),
        (json_schema([]), "response_format.json_schema.schema", "object"),
        (json_schema({"type": "not-a-type"}), "response_format.json_schema.schema", "not-a-type"),
        (json_schema({"$ref": "#/$defs/none"}), "response_format.json_schema.schema", "none"),
        (json_schema({"$ref": "#"}), "response_format.json_schema.schema", "circle"),
        (
            json_schema({"type": "string", "pattern": "\\d+(?<=x)[("}),
            "response_format.json_schema.schema",
            "regex",
        ),
        (
            json_schema({"type": "array", "uniqueItems": True}),
            "response_format.json_schema.schema",
            "uniqueItems",
        ),
        (
            json_schema({"enum": ["x" * 70_000]}),
            "response_format.json_schema.schema",
            "65536 of schema",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_kept_to_is_refused_by_name(
    pocket: Running, wanted: Any, param: str, words: str, stream: bool
) -> None:
    reply = pocket.post(body(wanted, stream=stream))
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert words in error["message"]
    assert len(reply.content) < 1000


def test_bounds_are_the_operators(start: Any) -> None:
    bounds = {"depth": 2, "bytes": 100, "seconds": 0.3}
    server = start({"models": {"pocket": {**POCKET, "grammar": bounds}}})
    assert server.post(body(json_schema({"items": {}}), max_tokens=1)).is_success
    for schema, words in (
        ({"items": {"items": {}}}, "2 are the most"),
        ({"const": "x" * 100}, "100 of schema"),
        ({"type": "integer", "multipleOf": 999_983}, "0.3 s"),
    ):
        error = server.post(body(json_schema(schema))).json()["error"]
        assert error["param"] == "response_format.json_schema.schema"
        assert words in error["message"]


def test_a_slow_schema_holds_nobody_up(start: Any) -> None:
    server = start({"models": {"pocket": {**POCKET, "grammar": {"seconds": 2.0}}}})
    server.post(body(json_schema({"type": "null"})))
    slow = json_schema({"type": "integer", "multipleOf": 999_983})
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(server.post, body(slow))
        for _ in range(3):
            assert server.post(body(None, max_tokens=2)).is_success
            assert server.post(body(json_schema({"type": "null"}))).is_success
            assert server.http.get(f"{server.root}/health", timeout=0.5).is_success
        assert not late.done()
        assert late.result().status_code == 400


def test_who_leaves_while_a_schema_is_compiled_leaves_nothing(start: Any) -> None:
    server = start({"models": {"pocket": {**POCKET, "grammar": {"seconds": 1.0}}}})
    with pytest.raises(Exception, match="timed out"):
        server.post(body(json_schema({"type": "integer", "multipleOf": 999_983})), timeout=0.3)
    server.wait_idle("pocket", 3.0)
    assert server.post(body(json_schema({"type": "null"}))).is_success


def test_the_toy_keeps_to_a_schema_too(start: Any) -> None:
    """A byte at a time, with another tokenizer."""
    server = start({"models": {"pocket": TOY}})
    for name in ("flat", "list of objects", "odd names", "recursive"):
        content, finish = answer(server, json_schema(SCHEMAS[name]))
        assert finish == "stop"
        jsonschema_rs.validator_for(SCHEMAS[name]).validate(json.loads(content))


def test_the_page_of_a_model_says_so(pocket: Running) -> None:
    page = pocket.http.get(f"{pocket.url}/models/pocket").json()["capabilities"]
    assert page["response_format"] == {"support": "native"}
    assert page["tool_choice"]["values"] == [
        "none",
        "auto",
        "required",
        "function",
        "allowed_tools",
    ]


def test_a_completion_takes_no_format(pocket: Running) -> None:
    asked = {"model": "pocket", "prompt": "x", "response_format": {"type": "json_object"}}
    error = pocket.post(asked, "/completions").json()["error"]
    assert error["param"] == "response_format"
    assert "/v1/chat/completions" in error["message"]


def test_the_sdk_sees_a_bad_request(client: OpenAI) -> None:
    bad: Any = json_schema({"type": "nothing"})
    with pytest.raises(BadRequestError, match="nothing"):
        client.chat.completions.create(model="pocket", messages=QUESTION, response_format=bad)
