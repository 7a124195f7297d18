"""A client that leaves stops its generation within a second."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import httpx
import pytest
from tests.server.conftest import Running

HELLO = [{"role": "user", "content": "Say hi"}]
LONG: dict[str, Any] = {"model": "slow", "messages": HELLO, "max_tokens": 1500}  # 30 s of work


def wait_working(server: Running, count: int) -> None:
    deadline = time.monotonic() + 5
    while server.working("slow") != count:
        assert time.monotonic() < deadline, f"{server.working('slow')} work, not {count}"
        time.sleep(0.01)


def send_raw(
    server: Running, body: dict[str, Any], path: str = "chat/completions"
) -> socket.socket:
    """A request on a bare socket, whose answer nobody reads."""
    payload = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", int(server.root.rsplit(":", 1)[1])))
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
    return connection


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("n", [1, 3])
def test_leaving_frees_the_engine(toys: Running, stream: bool, n: int) -> None:
    with send_raw(toys, {**LONG, "stream": stream, "n": n}):
        wait_working(toys, n)
    assert toys.wait_idle("slow", seconds=1.0) < 1.0


def test_leaving_a_completion(toys: Running) -> None:
    body = {"model": "slow", "prompt": ["a", "b"], "max_tokens": 1500}
    with send_raw(toys, body, "completions"):
        wait_working(toys, 2)
    toys.wait_idle("slow", seconds=1.0)


def test_closing_the_sdks_stream(toys: Running) -> None:
    with toys.client() as client:
        stream = client.chat.completions.create(**LONG, stream=True)
        next(iter(stream))
        assert toys.working("slow") == 1
        stream.close()
        toys.wait_idle("slow", seconds=1.0)


async def test_many_impatient_clients_leave_a_quick_server(toys: Running) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def impatient() -> None:
            with pytest.raises(httpx.TimeoutException):
                await client.post(toys.url + "/chat/completions", json=LONG, timeout=0.5)

        await asyncio.gather(*(impatient() for _ in range(20)))
    toys.wait_idle("slow", seconds=2.0)
    started = time.monotonic()
    assert toys.post({**LONG, "max_tokens": 2}).status_code == 200
    assert time.monotonic() - started < 2


def test_a_client_that_does_not_read_stops_no_other(toys: Running) -> None:
    """Its stream waits in the socket, the others go on."""
    with send_raw(toys, {**LONG, "stream": True}):
        wait_working(toys, 1)
        assert toys.post({**LONG, "max_tokens": 3}).status_code == 200
    toys.wait_idle("slow", seconds=1.0)
