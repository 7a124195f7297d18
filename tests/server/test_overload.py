"""More than there is room for: refused before any work is done, and told when to come again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.server.conftest import TOY, Config, Running
from tests.server.test_disconnect import send_raw

HELLO = [{"role": "user", "content": "Say hi"}]
CHAT: dict[str, Any] = {"model": "m", "messages": HELLO, "max_tokens": 30}


def one_slot(placement: str = "inline", **queue: Any) -> Config:
    options = {"step_seconds": 0.02, "max_sequences": 1}
    model = {**TOY, "options": options, "placement": placement, "queue": queue}
    return {"server": {"shutdown_seconds": 0}, "models": {"m": model}}


@pytest.mark.parametrize("placement", ["inline", "process"])
def test_one_runs_one_waits_eight_are_refused(
    start: Callable[[Config], Running], placement: str
) -> None:
    server = start(one_slot(placement, length=1))
    with ThreadPoolExecutor(10) as threads:
        sent = [threads.submit(server.post, CHAT) for _ in range(10)]
        answers = [one.result() for one in sent]
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200, 200, *[503] * 8]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.json()["error"]["code"] for answer in refused} == {"overloaded"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


def test_each_choice_takes_room_and_all_or_none_get_it(
    start: Callable[[Config], Running],
) -> None:
    server = start(one_slot(length=3))
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(server.post, {**CHAT, "n": 2})
        while server.working("m") < 2:
            time.sleep(0.005)
        assert server.post({**CHAT, "n": 3}).status_code == 503
        assert server.post({**CHAT, "n": 2}).status_code == 200
        assert running.result().status_code == 200
    never = server.post({**CHAT, "n": 5})
    assert never.status_code == 400
    assert never.json()["error"]["param"] == "n"


def test_refused_before_the_prompt_is_rendered(start: Callable[[Config], Running]) -> None:
    """A prompt that is far too long would be a 400 if anybody had looked at it."""
    server = start(one_slot(length=0))
    long = {**CHAT, "messages": [{"role": "user", "content": "a" * 200_000}]}
    assert server.post(long).status_code == 400
    with send_raw(server, {**CHAT, "max_tokens": 1500}):
        while not server.working("m"):
            time.sleep(0.005)
        started = time.monotonic()
        assert server.post(long).status_code == 503
        assert server.http.get(server.root + "/health").status_code == 200
        assert time.monotonic() - started < 0.5
        assert server.working("m"), "nobody waited for the one that runs"
    server.wait_idle("m")
    assert server.post({**CHAT, "max_tokens": 1}).status_code == 200, "who left gives room back"


def test_who_waits_too_long_is_told(start: Callable[[Config], Running]) -> None:
    server = start(one_slot(length=4, seconds=0.3))
    with send_raw(server, {**CHAT, "max_tokens": 1500}):
        while not server.working("m"):
            time.sleep(0.005)
        started = time.monotonic()
        late = server.post(CHAT)
        assert 0.2 < time.monotonic() - started < 2
    assert late.status_code == 503
    assert int(late.headers["retry-after"]) >= 1


def test_the_whole_server_has_a_bound(start: Callable[[Config], Running]) -> None:
    slow = {**TOY, "options": {"step_seconds": 0.02}}
    limits = {"sequences": 2}
    server = start({"server": {"limits": limits}, "models": {"m": slow, "o": slow}})
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(server.post, {**CHAT, "n": 2})
        while server.working("m") < 2:
            time.sleep(0.005)
        assert server.post({**CHAT, "model": "o"}).status_code == 503
        assert running.result().status_code == 200
    assert server.post({**CHAT, "model": "o", "max_tokens": 1}).status_code == 200
