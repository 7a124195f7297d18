"""Names that a server may be called by, and web pages that may call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.server.conftest import TOY, Config, Running

from enginebay_server.config import ServerSettings
from enginebay_server.hosts import HostNames

PAGE = "https://chat.example.com"


def allowed(called: str, *, keyed: bool = False, **settings: Any) -> bool:
    return HostNames(ServerSettings(**settings), keyed=keyed).allowed([called.encode("latin-1")])


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7", "localhost", "LOCALHOST:1"),
        *("enginebay", "app.localhost", "localhost."),
    ],
)
def test_addresses_and_names_without_a_dot_are_ours(host: str) -> None:
    assert allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:8000.a"),
        *("localhost/health?", "user@localhost", "", "a b", "\xe4.example", "localhost:123456"),
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not allowed(host)


def test_the_operators_names() -> None:
    assert allowed("llm.example.com", allowed_hosts=["llm.example.com"])
    assert allowed("a.b.example.com:443", allowed_hosts=["*.example.com"])
    assert not allowed("example.com.evil", allowed_hosts=["*.example.com"])
    assert not allowed("badexample.com", allowed_hosts=["*.example.com"])
    assert allowed("anything.at.all", allowed_hosts=["*"])
    assert not allowed("not/a/name", allowed_hosts=["*"])


def test_off_this_machine_the_key_protects() -> None:
    assert allowed("llm.example.com", keyed=True, host="0.0.0.0")
    assert not allowed("llm.example.com", keyed=True, host="127.0.0.1")
    assert not allowed("llm.example.com", keyed=False, host="0.0.0.0", auth="none")
    strict = {"host": "0.0.0.0", "allowed_hosts": ["llm.example.com"]}
    assert not allowed("other.example.com", keyed=True, **strict)


def test_a_foreign_name_gets_no_answer(toys: Running) -> None:
    answer = toys.http.get(toys.url + "/models", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_host"
    for path in ("/health", "/livez"):
        health = toys.http.get(toys.root + path, headers={"Host": "evil.example"})
        assert health.status_code == 400


def preflight(server: Running) -> tuple[int, str | None]:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = server.http.options(server.url + "/chat/completions", headers=headers)
    return answer.status_code, answer.headers.get("access-control-allow-origin")


def test_no_page_may_call_unless_the_operator_says_so(
    toys: Running, start: Callable[[Config], Running]
) -> None:
    assert preflight(toys) == (405, None)
    simple = toys.http.get(toys.url + "/models", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in simple.headers
    server = start({"server": {"cors_origins": [PAGE], "api_key": "k"}, "models": {"toy": TOY}})
    assert preflight(server) == (200, PAGE)
    unknown = server.http.get(server.url + "/models", headers={"Origin": PAGE})
    assert unknown.status_code == 401
    assert unknown.headers["access-control-allow-origin"] == PAGE
    evil = server.http.get(server.url + "/models", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers
