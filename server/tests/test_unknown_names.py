"""Names that nobody knows, at any depth of a request: named back, or refused where their loss makes
another question.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from enginebay_core.api import RequestError, UnsupportedField
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_server.admission import admit
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.completions import CompletionRequest
from enginebay_server.schema.reading import read

USER: dict[str, Any] = {"role": "user", "content": "x"}
CALL: dict[str, Any] = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
PART: dict[str, Any] = {"type": "text", "text": "x"}
FORM: dict[str, Any] = {"name": "a", "schema": {}}


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    model = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield model
    model.close()


def chat(**fields: Any) -> ChatRequest:
    return read(ChatRequest, {"model": "toy", "messages": [USER], **fields})


def said(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [USER, {"role": "user", "content": [PART, part]}]}


def called(call: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"messages": [{**USER, "weight": 1}]}, "messages[].weight"),
        (said({**PART, "cache_control": {}}), "messages[].content[].cache_control"),
        (called({**CALL, "extra": 1}), "messages[].tool_calls[].extra"),
        (
            called({**CALL, "function": {**CALL["function"], "parsed": {}}}),
            "messages[].tool_calls[].function.parsed",
        ),
        ({"stream_options": {"x": 1}}, "stream_options.x"),
        ({"response_format": {"type": "text", "x": 1}}, "response_format.x"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f", "x": 1}}},
            "tool_choice.function.x",
        ),
    ],
)
def test_it_is_named_back(toy: RunningModel, fields: dict[str, Any], name: str) -> None:
    request = chat(**fields)
    assert admit(request, toy, reject_unknown=False).ignored == (name,)
    with pytest.raises(RequestError, match="remove it") as caught:
        admit(request, toy, reject_unknown=True)
    assert caught.value.code == "unknown_parameter"


def test_it_is_named_once_however_often_it_comes(toy: RunningModel) -> None:
    odd = {**USER, "weight": 1}
    assert admit(chat(messages=[odd, USER, odd]), toy, reject_unknown=False).ignored == (
        "messages[].weight",
    )


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": [USER, {**USER, "audio": {"id": "1"}}]}, "messages[1].audio", "not read"),
        ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema", "only"),
        (
            {"response_format": {"type": "json_object", "json_schema": FORM}},
            "response_format.json_schema",
            "only the type 'json_schema'",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": FORM, "schema": {}}},
            "response_format.schema",
            "beside the name",
        ),
    ],
)
def test_what_asks_for_something_is_refused(
    toy: RunningModel, fields: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(UnsupportedField, match=words) as caught:
        admit(chat(**fields), toy, reject_unknown=False)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"stream_options": {"include_usages": True}}, "include_usage"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "shema": {}}}},
            "schema",
        ),
    ],
)
def test_a_misspelled_option_is_refused(
    toy: RunningModel, fields: dict[str, Any], meant: str
) -> None:
    with pytest.raises(RequestError, match=f"did you mean '{meant}'"):
        admit(chat(**fields), toy, reject_unknown=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{**USER, "refusal": None, "annotations": [], "audio": None, "images": []}]},
        {"messages": [{**USER, "refusal": "no", "annotations": [{"x": 1}]}]},
        called({**CALL, "index": 0, "type": None}),
        said({**PART, "annotations": []}),
        {"stream_options": {"include_usage": None, "include_obfuscation": False}},
        {"response_format": {"type": "text", "json_schema": None}},
    ],
)
def test_null_and_notes_of_earlier_answers_ask_for_nothing(
    toy: RunningModel, fields: dict[str, Any]
) -> None:
    assert admit(chat(**fields), toy, reject_unknown=True).ignored == ()


def test_their_number_is_bounded(toy: RunningModel) -> None:
    """Each has to be compared with those that are known."""
    names = {f"q{number}": 1 for number in range(128)}
    more = {f"r{number}": 1 for number in range(128)}
    messages = [{**USER, **names}] * 3
    few = chat(messages=messages, stream_options=more)
    assert len(admit(few, toy, reject_unknown=False).ignored) == 256
    with pytest.raises(RequestError, match="more than 256 names"):
        chat(messages=messages, stream_options={**more, "s": 1})


def test_a_misspelling_in_what_another_server_said_is_no_fault(toy: RunningModel) -> None:
    """Whoever sends an answer back cannot help what is in it."""
    turn = {"role": "assistant", "content": "x", "reasoning_contents": "y"}
    ignored = admit(chat(messages=[USER, turn]), toy, reject_unknown=False).ignored
    assert ignored == ("messages[].reasoning_contents",)


@pytest.mark.parametrize(
    ("name", "in_chat", "in_completions"),
    [
        ("prompt", "use messages", None),
        ("messages", None, "use /v1/chat/completions"),
        ("max_output_tokens", "use max_completion_tokens", "use max_tokens"),
        ("max_completion_tokens", None, "use max_tokens"),
        ("system", "the role 'system'", "put it into prompt"),
        ("enable_thinking", "put it into chat_template_kwargs", "use /v1/chat/completions"),
        ("chat_template_kwargs", None, "use /v1/chat/completions"),
    ],
)
def test_a_hint_names_what_the_endpoint_has(
    toy: RunningModel, name: str, in_chat: str | None, in_completions: str | None
) -> None:
    body: dict[str, Any] = {"model": "toy", name: [1]}
    if in_chat is not None:
        with pytest.raises(UnsupportedField, match=in_chat):
            admit(read(ChatRequest, {"messages": [USER], **body}), toy, reject_unknown=False)
    if in_completions is not None:
        with pytest.raises(UnsupportedField, match=in_completions):
            admit(read(CompletionRequest, {"prompt": "x", **body}), toy, reject_unknown=False)
