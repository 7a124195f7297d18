"""Every bound of ``[server.limits]``: kept at the limit, refused one past it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.server.conftest import TOY, Running, running

HELLO = [{"role": "user", "content": "Say hi"}]
CHAT: dict[str, Any] = {"model": "m", "messages": HELLO, "max_tokens": 1}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
LIMITS = {
    "connections": 12,
    "header_bytes": 2000,
    "headers": 20,
    "read_seconds": 0.5,
    "request_seconds": 1.0,
    "body_pieces": 10,
    "depth": 8,
    "items": 200,
    "fields": 64,
    "messages": 5,
    "choices": 3,
    "lookups": 2,
    "max_tokens": 200,
    "stop_strings": 2,
    "stop_length": 10,
    "tools": 2,
}
BODY = 10_000


@pytest.fixture(scope="module")
def bounded() -> Iterator[Running]:
    server = {"limits": LIMITS, "max_body_bytes": BODY, "shutdown_seconds": 0}
    slow = {**TOY, "options": {"step_seconds": 0.02}}
    with running({"server": server, "models": {"m": TOY, "slow": slow}}) as target:
        yield target


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


@pytest.mark.parametrize(
    ("name", "at", "past"),
    [
        ("messages", HELLO * 5, HELLO * 6),
        ("n", 3, 4),
        ("max_tokens", 200, 201),
        ("max_completion_tokens", 200, 201),
        ("stop", ["a", "b"], ["a", "b", "c"]),
        ("stop", "a" * 10, "a" * 11),
        ("logit_bias", {str(i): 1 for i in range(93)}, {str(i): 1 for i in range(94)}),
        ("unheard_of", nested(6), nested(7)),
        ("unheard_of", [1] * 187, [1] * 188),
        ("unheard_of", [[1] * 92, [1] * 93], [[1] * 93] * 2),
    ],
)
def test_fields(bounded: Running, name: str, at: Any, past: Any) -> None:
    body = {**CHAT, "max_tokens": ...} if name == "max_completion_tokens" else CHAT
    body = {key: value for key, value in body.items() if value is not ...}
    assert bounded.post({**body, name: at}).status_code == 200
    refused = bounded.post({**body, name: past})
    assert refused.status_code == 400
    assert any(words in refused.text for words in ("at most", "deeper than 8", "than the 200"))
    if name not in ("unheard_of", "logit_bias"):
        assert refused.json()["error"]["param"] == name


@pytest.mark.parametrize(
    ("prompts", "n", "param"), [(3, 1, None), (1, 3, None), (4, 1, "prompt"), (2, 2, "n")]
)
def test_the_choices_of_all_prompts(
    bounded: Running, prompts: int, n: int, param: str | None
) -> None:
    body = {"model": "m", "prompt": ["a"] * prompts, "n": n, "max_tokens": 1}
    answer = bounded.post(body, "/completions")
    if param is None:
        assert len(answer.json()["choices"]) == prompts * n
    else:
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
        assert "at most 3" in answer.text


def test_the_items_of_a_response(bounded: Running) -> None:
    body = {"model": "m", "max_output_tokens": 1}
    assert bounded.post({**body, "input": HELLO * 5}, "/responses").status_code == 200
    error = bounded.post({**body, "input": HELLO * 6}, "/responses").json()["error"]
    assert (error["param"], "at most 5" in error["message"]) == ("input", True)


def test_the_number_of_fields(bounded: Running) -> None:
    """Each of which has to be compared with all known names."""
    unknown = {f"q{number}": None for number in range(61)}
    assert bounded.post({**CHAT, **unknown}).status_code == 200
    refused = bounded.post({**CHAT, **unknown, "one_more": None})
    assert refused.status_code == 400
    assert "has 65 fields; this server accepts at most 64" in refused.text


def test_tools(bounded: Running) -> None:
    """The toy has no tools, so at the limit another reason is given."""
    kept, refused = (bounded.post({**CHAT, "tools": [TOOL] * count}) for count in (2, 3))
    assert "accepts at most 2" not in kept.text
    assert "accepts at most 2" in refused.json()["error"]["message"]


def test_a_body(bounded: Running) -> None:
    def status(size: int, *, chunked: bool) -> int:
        body = json.dumps(CHAT).encode()
        body += b" " * (size - len(body))
        content = iter([body]) if chunked else body
        headers = {"Content-Type": "application/json"}
        url = bounded.url + "/chat/completions"
        return bounded.http.post(url, content=content, headers=headers).status_code

    assert [status(BODY, chunked=chunked) for chunked in (False, True)] == [200, 200]
    assert [status(BODY + 1, chunked=chunked) for chunked in (False, True)] == [413, 413]


def test_pieces_of_a_body(bounded: Running) -> None:
    def status(pieces: int) -> int:
        body = json.dumps(CHAT).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        with connect(bounded) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head.encode())
            for number in range(pieces):
                piece = body if number == 0 else b" "
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                time.sleep(0.01)
            connection.sendall(b"0\r\n\r\n")
            return int(connection.recv(1000).split()[1])

    assert [status(9), status(16)] == [200, 400]


def test_headers(bounded: Running) -> None:
    def status(count: int, size: int = 1) -> int:
        with connect(bounded) as connection:
            head = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
            head += "".join(f"x-{n:03}: {'a' * size}\r\n" for n in range(count - 1))
            connection.sendall(f"{head}\r\n".encode())
            return int(connection.recv(1000).split()[1])

    assert [status(20), status(21)] == [200, 431]
    fixed = len("/v1/models") + len("Hostlocalhost") + len("x-000")
    assert [status(2, 2000 - fixed), status(2, 2001 - fixed)] == [200, 431]


def test_a_head_that_does_not_end(bounded: Running) -> None:
    with connect(bounded) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        for _ in range(4):
            connection.sendall(b"a" * 500)
            time.sleep(0.02)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("path", ["/health", "/v1/chat/completions", "/v1/models", "/nothing"])
@pytest.mark.parametrize("sent", ["", "POST", "POST {path} HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_that_does_not_end(bounded: Running, path: str, sent: str) -> None:
    with connect(bounded) as connection:
        connection.sendall(sent.format(path=path).encode())
        took, answer = until_closed(connection)
    assert 0.3 < took < 1.5
    assert answer.startswith(b"HTTP/1.1 408 ") or not sent


@pytest.mark.parametrize("path", ["/health", "/v1/chat/completions", "/v1/models", "/nothing"])
def test_a_body_that_does_not_come(bounded: Running, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    with connect(bounded) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
        took, answer = until_closed(connection)
    assert 0.3 < took < 1.5
    status = int(answer.split()[1])
    assert status == (408 if path.endswith("completions") else status)
    assert status in (404, 405, 408)


def test_a_slow_second_request_on_one_connection(bounded: Running) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(bounded) as connection:
        connection.sendall(whole)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.7)  # longer than a request may take: nothing was begun
        connection.sendall(whole)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(whole[:20])
        _, answer = until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_an_endless_head_behind_a_running_answer(bounded: Running) -> None:
    """What comes before an answer is out is bounded as well."""
    body = json.dumps({**CHAT, "model": "slow", "max_tokens": 40, "stream": True})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    with connect(bounded) as connection:
        connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        connection.recv(100)
        connection.sendall(b"GET /health HTTP/1.1\r\nX-A: ")
        with pytest.raises(ConnectionError):
            dribble(connection)
    bounded.wait_idle("slow")


def test_an_answer_that_takes_too_long(bounded: Running) -> None:
    long = {**CHAT, "model": "slow", "max_tokens": 200}
    started = time.monotonic()
    answer = bounded.post(long)
    assert 0.8 < time.monotonic() - started < 2.5
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    frames = bounded.post({**long, "stream": True}).text.split("\n\n")
    error = next(frame for frame in frames if '"error"' in frame)
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    assert frames[-2] == "data: [DONE]"
    bounded.wait_idle("slow")
    assert bounded.post(CHAT).status_code == 200


def test_connections(bounded: Running) -> None:
    deadline = time.monotonic() + 5
    with httpx.Client(verify=False) as fresh:
        held = [connect(bounded) for _ in range(14)]
        answers = [until_closed(connection)[1] for connection in held]
        for connection in held:
            connection.close()
        assert any(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
        assert answers.count(b"") >= 8, "those within the bound were only too slow"
        while fresh.get(bounded.root + "/health").status_code != 200:
            assert time.monotonic() < deadline


def dribble(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(b"a" * 1000)
        time.sleep(0.005)


def connect(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.root.rsplit(":", 1)[1])), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionError:
        pass
    return received


def until_closed(connection: socket.socket) -> tuple[float, bytes]:
    """How long that took, and what came."""
    started = time.monotonic()
    received = read_all(connection)
    return time.monotonic() - started, received


LOOKUPS = {
    "/tokenize": {"model": "m", "prompt": "a"},
    "/detokenize": {"model": "m", "tokens": [1]},
    "/render": {"model": "m", "messages": HELLO},
}


@pytest.mark.parametrize("path", LOOKUPS)
def test_lookups(bounded: Running, path: str) -> None:
    def ask() -> httpx.Response:
        return bounded.http.post(bounded.root + path, json=LOOKUPS[path])

    with leaving(bounded.service.lookups.take()):
        assert ask().status_code == 200
        with leaving(bounded.service.lookups.take()):
            refused = ask()
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            assert int(refused.headers["Retry-After"]) >= 1
            assert bounded.post(CHAT).status_code == 200
    assert ask().status_code == 200


@contextmanager
def leaving(leave: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        leave()


def test_no_chat_waits_behind_lookups(bounded: Running) -> None:
    """They have all threads that they are given, and keep them."""
    threads = bounded.service.lookups.prompts.threads
    goes_on = threading.Event()
    held = [threads.submit(goes_on.wait, 30) for _ in range(100)]
    try:
        assert bounded.post(CHAT).status_code == 200
    finally:
        goes_on.set()
    assert all(one.result() for one in held)
