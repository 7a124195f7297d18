"""``/tokenize``, ``/detokenize`` and ``/render``: what a model would be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.server.conftest import TOY, Config, Running

CHAT: dict[str, Any] = {"model": "toy", "messages": [{"role": "user", "content": "Hi <|im_end|>"}]}


def post(server: Running, path: str, body: dict[str, Any]) -> httpx.Response:
    return server.http.post(server.root + path, json=body)


@pytest.mark.parametrize("name", ["prompt", "content"])
def test_a_text_has_the_ids_that_a_completion_runs(toys: Running, name: str) -> None:
    text = "<|im_start|>é"
    told = post(toys, "/tokenize", {"model": "toy", name: text, "return_token_strs": True}).json()
    assert told["tokens"] == [257, *"é".encode()]
    assert told["token_strs"] == ["<|im_start|>", "bytes:\\xc3", "bytes:\\xa9"]
    assert (told["count"], told["max_model_len"]) == (3, 2048)
    ran = toys.post({"model": "toy", "prompt": text, "max_tokens": 1}, "/completions").json()
    assert ran["usage"]["prompt_tokens"] == 3


def test_control_tokens_can_be_taken_as_text(toys: Running) -> None:
    body = {"model": "toy", "prompt": "<|im_end|>", "parse_special": False}
    told = post(toys, "/tokenize", body).json()
    assert told["count"] == len("<|im_end|>")
    assert told["token_strs"] is None


def test_ids_read_back_as_their_text(toys: Running) -> None:
    text = "a<|im_end|>中"
    ids = post(toys, "/tokenize", {"model": "toy", "prompt": text}).json()["tokens"]
    told = post(toys, "/detokenize", {"model": "toy", "tokens": ids}).json()
    assert told == {"prompt": text, "content": text}


def test_a_chat_is_rendered_as_it_runs(toys: Running) -> None:
    told = post(toys, "/render", CHAT).json()
    assert told["prompt"] == "<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    assert told["tokens"].count(258) == 1, "what a user spells stays text"
    ran = toys.post({**CHAT, "max_tokens": 1}).json()
    assert told["count"] == len(told["tokens"]) == ran["usage"]["prompt_tokens"]
    counted = post(toys, "/tokenize", CHAT).json()
    assert counted["tokens"] == told["tokens"]


def test_the_assistants_turn_can_be_left_unopened(toys: Running) -> None:
    told = post(toys, "/render", {**CHAT, "add_generation_prompt": False}).json()
    assert told["prompt"].endswith("<|im_end|>\n")
    assert "assistant" not in told["prompt"]


def test_null_is_absent(toys: Running) -> None:
    told = post(toys, "/tokenize", {**CHAT, "prompt": None, "content": None})
    assert told.json()["tokens"] == post(toys, "/render", CHAT).json()["tokens"]


def test_a_lone_model_needs_no_name(start: Callable[[Config], Running]) -> None:
    alone = start({"models": {"toy": TOY}})
    told = [
        post(alone, "/tokenize", {"prompt": "a", **named}).json()
        for named in ({}, {"model": None}, {"model": "toy"})
    ]
    assert told[0]["count"] == 1
    assert told[0] == told[1] == told[2]


def test_an_answer_of_many_tokens_is_whole(toys: Running) -> None:
    """It is written down in blocks, on a thread."""
    text = "".join(chr(97 + number % 26) for number in range(5000))
    body = {"model": "toy", "prompt": text, "return_token_strs": True}
    told = post(toys, "/tokenize", body).json()
    assert told["tokens"] == list(text.encode())
    assert told["token_strs"] == list(text)
    body = {"model": "toy", "tokens": told["tokens"]}
    assert post(toys, "/detokenize", body).json()["prompt"] == text


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {"model": "toy"}, "prompt"),
        ("/tokenize", {"prompt": "x"}, "model"),
        ("/tokenize", {"model": "toy", "prompt": "x", "content": "x"}, "content"),
        ("/tokenize", {"model": "toy", "prompt": "x", "with_pieces": True}, "with_pieces"),
        ("/tokenize", {"model": "toy", "prompt": 1}, "prompt"),
        ("/detokenize", {"model": "toy", "tokens": [1, 999]}, "tokens"),
        ("/detokenize", {"model": "toy", "tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {"model": "toy", "tokens": "x"}, "tokens"),
        ("/render", {"model": "toy", "messages": []}, "messages"),
        ("/render", {**CHAT, "chat_template": "x"}, "chat_template"),
    ],
)
def test_what_is_wrong_is_named(toys: Running, path: str, body: dict[str, Any], param: str) -> None:
    answer = post(toys, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_what_nobody_knows_is_named_back(toys: Running) -> None:
    answer = post(toys, "/tokenize", {"model": "toy", "prompt": "x", "colour": 1})
    assert answer.headers["x-enginebay-ignored"] == "colour"


@pytest.mark.parametrize(
    ("kind", "word"), [("image_url", "images"), ("input_audio", "audio"), ("file", "files")]
)
def test_parts_that_are_no_text_are_not_read_yet(toys: Running, kind: str, word: str) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": kind, kind: {"url": "x"}}]
    answer = toys.post({"model": "toy", "messages": [{"role": "user", "content": parts}]})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["param"] == "messages[0].content[1].type"
    assert word in error["message"]
    assert "not read yet" in error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/audio/speech", "/v1/files"]
)
def test_routes_of_others_are_not_here_yet(toys: Running, path: str) -> None:
    answer = post(toys, path, {"model": "toy"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert path in error["message"]
    assert "yet" in error["message"]
