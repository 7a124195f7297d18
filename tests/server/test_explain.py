"""``POST /explain``: the way of the request that a chat would be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.server.conftest import TOY, Config, Running

CHAT: dict[str, Any] = {
    "model": "toy",
    "messages": [{"role": "user", "content": "Hi <|im_end|>"}],
    "max_tokens": 12,
    "temperature": 1.0,
    "seed": 5,
}


def explained(server: Running, **changes: Any) -> httpx.Response:
    return server.http.post(f"{server.root}/explain", json={**CHAT, **changes})


def test_it_is_the_way_of_the_same_chat(toys: Running) -> None:
    way, chat = explained(toys).json(), toys.post(CHAT).json()
    assert way["request"] == CHAT
    assert way["content"] == chat["choices"][0]["message"]["content"]
    assert way["completion"]["choices"] == chat["choices"]
    assert way["cut"] == chat["usage"]["prompt_tokens"]
    assert len(way["ids"]) == way["cut"] + 12
    assert [chosen["id"] for chosen in way["output"]] == way["ids"][way["cut"] :]
    rendered = toys.http.post(f"{toys.root}/render", json=CHAT).json()
    assert (way["template"], way["ids"][: way["cut"]]) == (rendered["prompt"], rendered["tokens"])


def test_its_stream_is_the_stream(toys: Running) -> None:
    asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    events = toys.post(asked).text.rstrip("\n").split("\n\n")
    assert list(map(pieces, explained(toys).json()["stream"])) == list(map(pieces, events))


def pieces(event: str) -> Any:
    data = event.removeprefix("data: ")
    return data if data == "[DONE]" else json.loads(data)["choices"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"n": 2}, "n"),
        ({"stream": True}, "stream"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": 1025}, "max_tokens"),
        ({"max_tokens": None, "max_completion_tokens": 1025}, "max_completion_tokens"),
        ({"max_tokens": 1, "min_tokens": 2}, "min_tokens"),
        ({"temprature": 1}, "temprature"),
        ({"messages": []}, "messages"),
        ({"model": "nobody"}, "model"),
    ],
)
def test_what_cannot_be_explained_is_named(
    toys: Running, changes: dict[str, Any], param: str
) -> None:
    answer = explained(toys, **changes)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"] == param


def test_an_answer_without_end_is_cut(toys: Running) -> None:
    way = explained(toys, max_tokens=None).json()
    assert (len(way["output"]), way["finish"]) == (1024, "length")


def test_names_that_nobody_knows_are_named_back(toys: Running) -> None:
    answer = explained(toys, x_of_mine=1)
    assert (answer.status_code, answer.headers["x-enginebay-ignored"]) == (200, "x_of_mine")


def test_leaving_frees_the_engine(toys: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        toys.http.post(
            f"{toys.root}/explain", json={**CHAT, "model": "slow", "max_tokens": 900}, timeout=0.3
        )
    toys.wait_idle("slow")


def test_its_tokens_count_for_the_key(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"per_key": {"tokens_per_minute": 30}}, "models": {"toy": TOY}})
    spent = explained(server).json()["completion"]["usage"]["total_tokens"]
    assert spent > 30
    assert explained(server).status_code == 429


def test_it_needs_room(start: Callable[[Config], Running]) -> None:
    slow = {**TOY, "options": {"step_seconds": 0.05, "max_sequences": 1}, "queue": {"length": 0}}
    server = start({"models": {"toy": slow}})
    busy = threading.Thread(target=lambda: server.post({**CHAT, "max_tokens": 30}))
    busy.start()
    try:
        while not server.working("toy"):
            time.sleep(0.01)
        assert explained(server).status_code == 503
    finally:
        busy.join()
