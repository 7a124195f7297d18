"""What the service that this project grew from gets wrong, each seen right (``seed.md``'s list).

Thinking that leaks into the content is in ``server/tests/test_reasoning.py`` and
``test_thinking.py``; a client that leaves is in ``test_disconnect.py``; CPU start-up without
bfloat16 is the transformers backend's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from tests.server.conftest import TOY, Config, Running

HELLO = [{"role": "user", "content": "你好!请介绍一下你自己。"}]
GREEDY: dict[str, Any] = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 40}


def content(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def test_stop_is_honoured(toys: Running) -> None:
    text = content(toys.post(GREEDY))
    stop = text[10:13]
    cut = toys.post({**GREEDY, "stop": stop})
    assert content(cut) == text[: text.index(stop)]
    assert cut.json()["choices"][0]["finish_reason"] == "stop"


def test_model_is_honoured(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"one": {**TOY, "options": {"max_length": 64}}, "two": TOY}})
    cut = {name: server.post({"model": name, "messages": HELLO}) for name in ("one", "two")}
    totals = {name: answer.json()["usage"]["total_tokens"] for name, answer in cut.items()}
    assert totals == {"one": 64, "two": 2048}
    assert {name: answer.json()["model"] for name, answer in cut.items()} == {
        "one": "one",
        "two": "two",
    }
    assert server.post({**GREEDY, "model": "three"}).status_code == 404


def test_finish_reason_tells_the_truth(toys: Running) -> None:
    cut = toys.post(GREEDY).json()["choices"][0]
    stopped = toys.post({**GREEDY, "stop": cut["message"]["content"][-1]}).json()["choices"][0]
    assert (cut["finish_reason"], stopped["finish_reason"]) == ("length", "stop")


def test_an_end_token_is_a_stop_and_no_text(toys: Running) -> None:
    end = {"258": 100}  # the toy's <|im_end|>
    answer = toys.post({**GREEDY, "logit_bias": end}).json()
    assert answer["choices"][0]["message"]["content"] == ""
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 0
    ignored = toys.post({**GREEDY, "logit_bias": end, "ignore_eos": True}).json()
    assert ignored["usage"]["completion_tokens"] == 40
    later = toys.post({**GREEDY, "logit_bias": end, "min_tokens": 3}).json()
    assert later["usage"]["completion_tokens"] == 3


def test_usage_is_counted_in_ids(toys: Running) -> None:
    """The toy's ids are bytes, and its text here is no valid UTF-8: encoding the text again would
    count each replacement character as three.
    """
    bias = {"255": 100}
    answer = toys.post({**GREEDY, "logit_bias": bias}).json()
    assert answer["choices"][0]["message"]["content"] == "\ufffd" * 40
    assert answer["usage"]["completion_tokens"] == 40


def test_usage_ends_with_the_stop_string(toys: Running) -> None:
    text = content(toys.post(GREEDY))
    stop = text[10:13]
    used = toys.post({**GREEDY, "stop": stop}).json()["usage"]["completion_tokens"]
    assert used == text.index(stop) + len(stop)


def test_ids_never_collide(toys: Running) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: toys.post({**GREEDY, "max_tokens": 1}), range(64)))
    assert len({answer.json()["id"] for answer in answers}) == 64


def test_a_long_answer_blocks_nobody(toys: Running) -> None:
    with ThreadPoolExecutor(1) as threads:
        long = threads.submit(toys.post, {**GREEDY, "model": "slow", "max_tokens": 100})
        time.sleep(0.2)
        started = time.monotonic()
        assert toys.http.get(toys.root + "/health").status_code == 200
        assert toys.http.get(toys.url + "/models").status_code == 200
        assert toys.post({**GREEDY, "max_tokens": 4}).status_code == 200
        took = time.monotonic() - started
        assert not long.done()
        assert took < 1.0
        assert long.result().status_code == 200


def test_two_at_once_share_one_model(toys: Running) -> None:
    """Side by side, each as if it were alone."""

    def ask(number: int) -> str:
        body = {**GREEDY, "model": "slow", "messages": [{"role": "user", "content": f"{number}"}]}
        return content(toys.post(body))

    started = time.monotonic()
    alone = ask(1), ask(2)
    took_alone = time.monotonic() - started
    started = time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        together = tuple(threads.map(ask, (1, 2)))
    assert together == alone
    assert time.monotonic() - started < 0.8 * took_alone


def test_input_is_validated_and_errors_are_openais(toys: Running) -> None:
    answer = toys.post({**GREEDY, "temperature": "hot"})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "message": "temperature is 'hot': it should be a number.",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": None,
        }
    }
