"""What the client makes of servers that answer well, badly, or not to the end."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from tests.benchmarks import pieces
from tests.benchmarks.client import ask_all
from tests.benchmarks.wave import Ask, ShortAnswer, require_whole

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
PLAIN = HEAD + b"Connection: close\r\n\r\n"


@contextmanager
def server(*parts: bytes) -> Iterator[str]:
    """A foreign server that sends ``parts`` to whoever asks, and hangs up."""

    def answer(one: socket.socket) -> None:
        with one, one.makefile("rb") as request:
            while request.readline() != b"\r\n":
                pass
            for part in parts:
                one.sendall(part)
                time.sleep(0.01)
            one.shutdown(socket.SHUT_WR)
            request.read()

    def serve() -> None:
        with suppress(OSError):  # which ends the wait for the next one
            while True:
                threads.submit(answer, listening.accept()[0])

    with ThreadPoolExecutor() as threads, socket.create_server(("127.0.0.1", 0)) as listening:
        threads.submit(serve)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)


def chunk(*ids: int) -> bytes:
    data = {"choices": [{"index": 0, "delta": {"content": pieces.write(ids)}}]}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_tokens_are_counted_however_bytes_arrive(size: int) -> None:
    body = b"".join([chunk(4, 5), chunk(6), b"data: [DONE]\n\n"])
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    ask = Ask(((7, 8),), 3)
    framed = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunked, parts))
    for whole in (PLAIN + body, framed + b"0\r\n\r\n"):
        with server(whole) as url:
            answers = ask_all(url, "m", [ask])
        require_whole([ask], answers)
        assert pieces.read(answers[0].text) == (4, 5, 6)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"HTTP/1.1 503 Busy\r\n\r\nnot now"], "503 busy: not now"),
        ([PLAIN, b'data: {"error": {"message": "lost it"}}\n\n'], "lost it"),
        ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\nhalf"], "IncompleteRead"),
        ([PLAIN, chunk(4), b"data: {]\n\n"], "ValueError|JSONDecodeError"),
        ([PLAIN, chunk(4)], "1 tokens came where 2"),
    ],
)
def test_an_answer_that_is_not_whole_counts_for_nothing(parts: list[bytes], said: str) -> None:
    ask = Ask(((7,),), 2)
    with server(*parts) as url, pytest.raises(ShortAnswer, match=said):
        require_whole([ask], ask_all(url, "m", [ask]))


def test_a_late_request_waits_for_the_first_streams_tokens() -> None:
    parts = [PLAIN, *(chunk(4) for _ in range(6))]
    first, late = Ask(((7,),), 6), Ask(((8,),), 6, after_tokens=3)
    with server(*parts) as url:
        one, two = ask_all(url, "m", [first, late])
    third = one.times.arrivals[2][0]
    assert third <= two.times.started < one.times.ended + 1
    assert two.times.tokens == 6


def test_tokens_may_be_of_another_width() -> None:
    ask = Ask(((7, 8),), 8)
    with server(PLAIN, chunk(4, 5), b"data: [DONE]\n\n") as url:
        require_whole([ask], ask_all(url, "m", [ask], len))
