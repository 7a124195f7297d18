"""A client of OpenAI's API that costs next to nothing per token, so that it measures the server.

HTTP/1.1 by hand: one connection per request, chunked or plain bodies. It counts the tokens itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks import pieces
from tests.benchmarks.wave import Answered, Ask

from enginebay_server.bench import EventDecoder, StreamTimes

SILENCE: Final = 300.0
"""Seconds without a byte after which a server counts as dead."""


class BadReply(Exception):
    """The server answered with something else than a stream of chunks."""


Count = Callable[[str], int]
"""Tells how many tokens a text has; raises ValueError for one that is cut within a token."""


def ask_all(
    url: str, model: str, wave: Sequence[Ask], count: Count = pieces.count
) -> list[Answered]:
    """Send a whole wave to the base URL ``url`` and read it to its end."""
    return asyncio.run(_ask_all(url, model, wave, count))


async def _ask_all(url: str, model: str, wave: Sequence[Ask], count: Count) -> list[Answered]:
    gates = {ask.after_tokens: asyncio.Event() for ask in wave}
    gates[0] = asyncio.Event()
    gates[0].set()

    def open_gates(tokens: int) -> None:
        for after, gate in gates.items():
            if tokens >= after:
                gate.set()

    async def one(number: int, ask: Ask) -> Answered:
        await gates[ask.after_tokens].wait()
        try:
            heard = _Heard(count)
            return await _ask(url, model, ask, heard, open_gates if number == 0 else _nothing)
        finally:
            if number == 0:
                open_gates(max(gates))

    return await asyncio.gather(*(one(number, ask) for number, ask in enumerate(wave)))


def _nothing(_: int) -> None:
    """Only the first stream's progress opens gates."""


async def _ask(
    url: str, model: str, ask: Ask, heard: _Heard, progress: Callable[[int], None]
) -> Answered:
    try:
        async with aclosing(_post(f"{url}/chat/completions", _body(model, ask))) as reply:
            async for data in reply:
                heard.take(data)
                progress(heard.tokens)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, BadReply, ValueError) as error:
        return heard.answer(f"{type(error).__name__}: {error}")
    return heard.answer()


def _body(model: str, ask: Ask) -> bytes:
    roles = ("user", "assistant")
    messages = [
        {"role": roles[number % 2], "content": pieces.write(turn)}
        for number, turn in enumerate(ask.turns)
    ]
    body = {"model": model, "messages": messages, "max_tokens": ask.max_tokens}
    return json.dumps({**body, "temperature": 0, "stream": True}).encode()


@dataclass
class _Heard:
    """What came of one answer until now; it begins when this is made."""

    count: Count
    started: float = field(default_factory=time.monotonic)
    tokens: int = 0
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    decoder: EventDecoder = field(default_factory=EventDecoder)

    def take(self, data: bytes) -> None:
        now = time.monotonic()
        for event in self.decoder.feed(data):
            text = _content(event)
            if text:
                count = self.count(text)
                self.tokens += count
                self.arrivals.append((now, count))
                self.texts.append(text)

    def answer(self, error: str = "") -> Answered:
        times = StreamTimes(self.started, tuple(self.arrivals), error=error)
        return Answered(times, "".join(self.texts))


def _content(event: bytes) -> str:
    if event == b"[DONE]":
        return ""
    chunk: dict[str, Any] = json.loads(event)
    if chunk.get("error"):
        raise BadReply(str(chunk["error"]))
    choices = chunk.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")


async def _post(url: str, body: bytes) -> AsyncGenerator[bytes, None]:
    """The parts of the reply's body, as they come."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request(parts.netloc, parts.path, body))
        async with asyncio.timeout(SILENCE) as limit:
            chunked = await _head(reader)
            async for data in _chunks(reader) if chunked else _rest(reader):
                limit.reschedule(asyncio.get_running_loop().time() + SILENCE)
                yield data
    finally:
        writer.close()


def request(host: str, path: str, body: bytes) -> bytes:
    """A POST whose connection ends with the answer."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _head(reader: asyncio.StreamReader) -> bool:
    """Whether the body is chunked. Raises BadReply unless the status is 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        said = await reader.read(500)
        raise BadReply(f"{head.splitlines()[0].decode()}: {said.decode(errors='replace')}")
    return b"transfer-encoding: chunked" in head


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).partition(b";")[0], 16):
        data = await reader.readexactly(size + 2)
        yield data[:-2]


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await reader.read(65536):
        yield data
