"""Thinking never leaks into the content: the bundled model over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.conftest import Running, running

QUESTION = [{"role": "user", "content": "你好!请介绍一下你自己。"}]
BODY: dict[str, Any] = {
    "model": "pocket",
    "messages": QUESTION,
    "temperature": 0,
    "chat_template_kwargs": {"enable_thinking": True},
}


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({}) as server:
        yield server


def test_thinking_and_answer_are_apart(pocket: Running) -> None:
    message = pocket.post(BODY).json()["choices"][0]["message"]
    assert message["reasoning_content"] == message["reasoning"]
    assert message["reasoning"].strip()
    assert message["content"].strip()
    assert "think>" not in message["content"] + message["reasoning"]


def test_they_are_apart_in_a_stream(pocket: Running) -> None:
    message = pocket.post(BODY).json()["choices"][0]["message"]
    with pocket.client() as client:
        deltas = [
            chunk.choices[0].delta.model_dump(exclude_unset=True)
            for chunk in client.chat.completions.create(
                model="pocket",
                messages=[{"role": "user", "content": QUESTION[0]["content"]}],
                temperature=0,
                stream=True,
                extra_body={"chat_template_kwargs": {"enable_thinking": True}},
            )
        ]
    assert "".join(d.get("content") or "" for d in deltas) == message["content"]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == message["reasoning"]
    assert "".join(d.get("reasoning", "") for d in deltas) == message["reasoning"]
    kinds = ["reasoning" if "reasoning" in d else "content" for d in deltas if len(d) < 3]
    assert kinds.index("reasoning") < kinds.index("content") or kinds[0] == "content"


def test_without_thinking_there_is_none(pocket: Running) -> None:
    quiet = {**BODY, "chat_template_kwargs": {"enable_thinking": False}}
    message = pocket.post(quiet).json()["choices"][0]["message"]
    assert "reasoning_content" not in message
    assert message["content"].strip()
    assert "think>" not in message["content"]


def test_a_stop_string_is_not_looked_for_in_thinking(pocket: Running) -> None:
    thought = pocket.post(BODY).json()["choices"][0]["message"]["reasoning"]
    answer = pocket.post({**BODY, "stop": thought[:4]}).json()["choices"][0]
    assert answer["message"]["reasoning"] == thought
