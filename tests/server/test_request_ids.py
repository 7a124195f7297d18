"""x-request-id: in where it is usable, out on every answer."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI
from tests.server.conftest import TOY, Config, Running

MADE = re.compile(r"req_[0-9a-f]{32}")
CHAT: dict[str, Any] = {
    "model": "toy",
    "messages": [{"role": "user", "content": "Say hi"}],
    "max_tokens": 3,
}


def id_of(answer: httpx.Response) -> str:
    assert len(answer.headers.get_list("x-request-id")) == 1
    return str(answer.headers["x-request-id"])


@pytest.mark.parametrize("sent", ["a", "trace-1_2.3:4/5+6=7@8~9", "x" * 128])
def test_a_usable_id_comes_back(toys: Running, sent: str) -> None:
    assert id_of(toys.post(CHAT, headers={"x-request-id": sent})) == sent


@pytest.mark.parametrize(
    "sent", ["", "x" * 129, "a b", "a;b", "a\tb", 'a"b', "a%0d%0aset-cookie: b", "é", "a,b"]
)
def test_any_other_is_replaced(toys: Running, sent: str) -> None:
    headers = [(b"x-request-id", sent.encode("latin-1"))]
    answer = toys.http.get(toys.url + "/models", headers=headers)
    assert MADE.fullmatch(id_of(answer))
    assert "set-cookie" not in answer.headers


def test_of_two_neither_counts(toys: Running) -> None:
    headers = [("x-request-id", "one"), ("x-request-id", "two")]
    assert MADE.fullmatch(id_of(toys.http.get(toys.url + "/models", headers=headers)))


def test_line_ends_cannot_get_in(toys: Running) -> None:
    port = int(toys.root.rsplit(":", 1)[1])
    for bad in (b"a\r b", b"a\n b", b"a\r\n b", b"a\x00b"):
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(
                b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: "
                + bad
                + b"\r\nConnection: close\r\n\r\n"
            )
            told = b"".join(iter(lambda: wire.recv(4096), b"")).lower()
        assert re.search(rb"\r\nx-request-id: req_[0-9a-f]{32}\r\n", told), told


def test_every_kind_of_answer_has_one(toys: Running) -> None:
    get, chat = toys.http.get, "/chat/completions"
    answers = [
        get(toys.root + "/"),
        get(toys.root + "/health"),
        get(toys.root + "/livez"),
        get(toys.root + "/metrics"),
        get(toys.root + "/nowhere"),
        get(toys.url + chat),
        toys.post(CHAT),
        toys.post({**CHAT, "stream": True}),
        toys.post({**CHAT, "model": "nobody"}),
        toys.post({**CHAT, "max_tokens": 0}),
        toys.post({**CHAT, "model": "gone"}),
        toys.http.post(toys.url + chat, content=b"{", headers={"content-type": "application/json"}),
        get(toys.root + "/livez", headers={"host": "evil.example"}),
        get(toys.url + "/models", headers={f"x-{i}": "y" for i in range(120)}),
    ]
    ids = [id_of(answer) for answer in answers]
    assert all(map(MADE.fullmatch, ids))
    assert len(set(ids)) == len(answers)


def test_refusals_before_any_route_have_one(start: Callable[[Config], Running]) -> None:
    limits = {"read_seconds": 0.2}
    config = {"api_key": "sk-x", "cors_origins": ["https://a.example"], "limits": limits}
    server = start({"server": config, "models": {"toy": TOY}})
    assert MADE.fullmatch(id_of(server.post(CHAT)))
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    preliminary = server.http.options(
        server.url + "/models", headers={**asked, "x-request-id": "p"}
    )
    assert (preliminary.status_code, id_of(preliminary)) == (200, "p")
    with socket.create_connection(("127.0.0.1", int(server.root.rsplit(":", 1)[1]))) as late:
        late.sendall(b"GET /")
        assert b"\r\nx-request-id: req_" in late.recv(4096)


def test_what_nobody_foresaw_has_one(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"toy": TOY}})

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    server.service.prompts.run = fail  # type: ignore[assignment,method-assign]
    answer = server.post(CHAT, headers={"x-request-id": "broken"})
    assert (answer.status_code, id_of(answer)) == (500, "broken")
    assert server.http.get(server.url + "/models").status_code == 200, "the connection lives"


def test_the_sdk_knows_it(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="toy", messages=CHAT["messages"], extra_headers={"x-request-id": "mine"}
    )
    assert answer._request_id == "mine"
    with pytest.raises(APIStatusError) as caught:
        client.models.retrieve("nobody")
    assert MADE.fullmatch(caught.value.request_id or "")
