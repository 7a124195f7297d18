"""What does not fit is told in words of JSON, with the field's name."""

from __future__ import annotations

import pytest

from enginebay_core.api import JsonValue, RequestError
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.completions import CompletionRequest
from enginebay_server.schema.reading import read

MESSAGES: JsonValue = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("stream", "yes", "stream is 'yes': it should be true or false."),
        ("n", 1.5, "n is 1.5: it should be an integer."),
        ("temperature", "hot", "temperature is 'hot': it should be a number."),
        ("user", 5, "user is 5: it should be a string."),
        ("tools", "f", "tools is 'f': it should be a list."),
        ("logit_bias", [], "logit_bias is []: it should be an object."),
        ("response_format", "json", "response_format is 'json': it should be an object."),
        ("messages", [3], "messages[0] is 3: it should be an object."),
        ("messages", [], "messages is empty; it needs at least 1 item."),
        ("model", "", "model is empty."),
        ("top_p", 2, "top_p is 2: it should be less than or equal to 1."),
    ],
)
def test_a_chat(name: str, value: JsonValue, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(ChatRequest, {"model": "m", "messages": MESSAGES, name: value})
    assert str(refused.value) == said


def test_what_is_too_long_is_cut() -> None:
    with pytest.raises(RequestError) as refused:
        read(CompletionRequest, {"model": "m", "prompt": ["a"] * 129})
    assert refused.value.param == "prompt"
    assert str(refused.value).endswith("…: it should have at most 128 entries.")
    assert len(str(refused.value)) < 200
