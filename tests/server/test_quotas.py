"""What one key may use, and that another's use does not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import RateLimitError
from tests.server.conftest import TOY, Config, Running

HELLO = [{"role": "user", "content": "Say hi"}]
CHAT: dict[str, Any] = {"model": "toy", "messages": HELLO, "max_tokens": 4}


@pytest.fixture
def shared(start: Callable[[Config], Running], tmp_path: Any) -> Callable[..., Running]:
    """A server for the keys ``one`` and ``two`` with these quotas."""
    keys = tmp_path / "keys"
    keys.write_text("one\ntwo\n")

    def begin(**quotas: int) -> Running:
        server = {"api_keys_file": str(keys), "per_key": quotas}
        slow = {**TOY, "options": {"step_seconds": 0.02}}
        return start({"server": server, "models": {"toy": TOY, "slow": slow}})

    return begin


def ask(server: Running, key: str = "one", **fields: Any) -> httpx.Response:
    return server.post({**CHAT, **fields}, headers={"Authorization": f"Bearer {key}"})


def test_requests_a_minute(shared: Callable[..., Running]) -> None:
    server = shared(requests_per_minute=3)
    answers = [ask(server) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert remaining == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert ask(server, "two").status_code == 200
    models = server.http.get(server.url + "/models", headers={"Authorization": "Bearer one"})
    assert models.status_code == 200, "looking asks for no work"


def test_tokens_a_minute_are_paid_when_they_are_made(shared: Callable[..., Running]) -> None:
    server = shared(tokens_per_minute=60)
    first = ask(server, max_tokens=40)
    used = first.json()["usage"]["total_tokens"]
    assert used > 60
    assert first.status_code == 200
    assert first.headers["x-ratelimit-remaining-tokens"] == "60"
    refused = ask(server)
    assert refused.status_code == 429
    assert used - 60 - 2 <= int(refused.headers["retry-after"]) <= used - 60 + 2
    assert refused.json()["error"]["type"] == "tokens"
    assert ask(server, "two").status_code == 200


def test_a_stream_is_paid_for_too(shared: Callable[..., Running]) -> None:
    server = shared(tokens_per_minute=60)
    assert ask(server, stream=True, max_tokens=40).text.endswith("data: [DONE]\n\n")
    deadline = time.monotonic() + 1
    while ask(server, max_tokens=1).status_code != 429:  # it is paid when it is out, not before
        assert time.monotonic() < deadline


def test_requests_at_the_same_time(shared: Callable[..., Running]) -> None:
    server = shared(concurrent_requests=2)
    with ThreadPoolExecutor(4) as threads:
        slow = [threads.submit(ask, server, model="slow", max_tokens=30) for _ in range(4)]
        other = threads.submit(ask, server, "two")
        statuses = sorted(sent.result().status_code for sent in slow)
        assert statuses == [200, 200, 429, 429]
        assert other.result().status_code == 200
    assert ask(server).status_code == 200, "what has ended no longer counts"


def test_the_sdk_understands(shared: Callable[..., Running]) -> None:
    server = shared(requests_per_minute=1)
    with server.client("one") as client:
        assert client.chat.completions.create(**CHAT)
        with pytest.raises(RateLimitError) as caught:
            client.chat.completions.create(**CHAT)
    assert caught.value.code == "rate_limit_exceeded"


def test_without_keys_all_share_one(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"per_key": {"requests_per_minute": 1}}, "models": {"toy": TOY}})
    assert [server.post(CHAT).status_code for _ in range(2)] == [200, 429]
    assert server.http.get(server.root + "/health").status_code == 200
