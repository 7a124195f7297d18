"""Sends a case as its client would, and says what came back."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from socket import create_server
from types import TracebackType

import httpx
from tests.edges.case import Case
from tests.edges.target import KEY, Target

CLOSED = 0
MOST_REPEATS = 100


@dataclass(frozen=True)
class Got:
    """``status`` 0: the connection was closed without an answer."""

    status: int
    body: bytes = b""
    headers: str = ""


class Listener:
    """A port of this machine that no server may call, whatever a request says."""

    def __init__(self) -> None:
        self._socket = create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self.callers = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                self._socket.accept()[0].close()
                self.callers += 1


def send(case: Case, target: Target, canary_port: int) -> list[Got]:
    """All answers, in any order; more than one where the case is repeated."""
    if case.first is not None:
        _request(case, case.first, target, canary_port)
    if case.raw is not None:
        return [_raw(filled(case.raw, canary_port), target)]
    times = min(case.repeat, MOST_REPEATS)
    if times == 1:
        return [_request(case, case.body, target, canary_port)]
    with ThreadPoolExecutor(8) as threads:
        once = [
            threads.submit(_request, case, case.body, target, canary_port) for _ in range(times)
        ]
        return [sent.result() for sent in once]


def filled(text: bytes, canary_port: int) -> bytes:
    fillings = {
        b"{{model}}": b"m",
        b"{{key}}": KEY.encode(),
        b"{{key_prefix}}": KEY[:-1].encode(),
        b"{{canary_port}}": str(canary_port).encode(),
        b"{{rand10}}": uuid.uuid4().hex[:10].encode(),
        b"{{uuid}}": uuid.uuid4().hex.encode(),
    }
    for name, value in fillings.items():
        text = text.replace(name, value)
    return text


def _request(case: Case, body: bytes, target: Target, canary_port: int) -> Got:
    sent = filled(body, canary_port)
    url = httpx.URL(target.root).copy_with(raw_path=filled(case.path.encode(), canary_port))
    headers = {"content-type": "application/json", **dict(target.http.headers)}
    for name, value in case.headers.items():
        headers.pop(name.lower(), None)
        if value is not None:
            headers[name.lower()] = filled(value.encode("latin-1"), canary_port).decode("latin-1")
    content = _pieces(sent) if case.chunked else sent
    raw = [(name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()]
    request = httpx.Request(case.method, url, content=content or None, headers=raw)
    try:
        answer = target.http.send(request)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return Got(CLOSED)
    return Got(answer.status_code, answer.content, str(answer.headers))


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def _raw(sent: bytes, target: Target) -> Got:
    """Everything that the server says until it closes, or is silent for half a second."""
    with target.connect() as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
        received = b""
        with suppress(ConnectionError, TimeoutError):
            while piece := connection.recv(65_536):
                received += piece
                connection.settimeout(0.5)
    if not received:
        return Got(CLOSED)
    head, _, body = received.partition(b"\r\n\r\n")
    return Got(int(head.split()[1]), body, head.decode("latin-1"))


def slow_body(target: Target) -> list[Got]:
    """A body that is announced and never comes, to routes that read bodies and to others."""
    answers = []
    for path in ("/health", "/v1/models", "/v1/chat/completions"):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        started = time.monotonic()
        with target.connect() as connection:
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        assert time.monotonic() - started < 20, "the connection stays open"
        answers.append(Got(int(received.split()[1]) if received else CLOSED))
    return answers


def every_route(target: Target) -> list[Got]:
    """All routes but the two open ones, in all methods, without a key."""
    paths = json.loads(target.http.get(f"{target.root}/openapi.json").content)["paths"]
    closed = [path for path in (*paths, "/openapi.json", "/nothing") if path[1:] not in OPEN]
    methods = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")
    return [
        Got(httpx.request(method, target.root + path, verify=False, trust_env=False).status_code)
        for path in closed
        for method in methods
    ]


OPEN = {"health", "livez"}
PROCEDURES = {"auth-every-route": every_route, "http-slow-body": slow_body}
