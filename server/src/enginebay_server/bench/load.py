"""Many answers at once from any server with OpenAI's API, timed as their chunks come."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from enginebay_server.bench.events import EventDecoder
from enginebay_server.bench.prompts import make_prompt
from enginebay_server.bench.times import StreamTimes


@dataclass(frozen=True, slots=True)
class Target:
    """``url`` is the base URL, ending in /v1. ``proxies``: may the environment's be used."""

    url: str
    model: str
    key: str | None = None
    proxies: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """``streams`` clients, each sending its next request when its last is answered: ``repeat``
    of them, or as many as start within ``seconds``. ``timeout`` is the longest silence, in seconds.
    """

    streams: int
    prompt_tokens: int = 128
    max_tokens: int = 64
    repeat: int = 3
    seconds: float | None = None
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer's times. ``prompt_tokens`` is the server's count, None where it tells none."""

    times: StreamTimes
    prompt_tokens: int | None = None


async def run_load(target: Target, load: Load) -> list[Answered]:
    """All answers, failed ones too; raises nothing that a server can cause."""
    nonce = secrets.token_hex(8)
    limits = httpx.Limits(max_connections=load.streams, max_keepalive_connections=load.streams)
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {target.key}"} if target.key else {},
        timeout=httpx.Timeout(load.timeout, connect=10),
        limits=limits,
        trust_env=target.proxies,
    ) as client:
        streams = (_one_stream(client, target, load, (nonce, one)) for one in range(load.streams))
        return [answer for answers in await asyncio.gather(*streams) for answer in answers]


async def _one_stream(
    client: httpx.AsyncClient, target: Target, load: Load, name: tuple[object, ...]
) -> list[Answered]:
    return [
        await _answer(client, target, load, make_prompt(load.prompt_tokens, (*name, turn)))
        for turn in _turns(load)
    ]


def _turns(load: Load) -> Iterator[int]:
    if load.seconds is None:
        yield from range(load.repeat)
        return
    ends = time.perf_counter() + load.seconds
    for turn in itertools.count():
        if turn and time.perf_counter() >= ends:
            return
        yield turn


async def _answer(client: httpx.AsyncClient, target: Target, load: Load, prompt: str) -> Answered:
    body = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": load.max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    heard = _Heard(time.perf_counter())
    try:
        async with client.stream("POST", f"{target.url}/chat/completions", json=body) as response:
            if not response.is_success:
                await response.aread()
                return heard.failed(f"HTTP {response.status_code}: {_said(response.text)}")
            async for data in response.aiter_bytes():
                heard.take(data)
    except httpx.TimeoutException:
        return heard.failed("took too long")
    except httpx.HTTPError as error:
        return heard.failed(f"{type(error).__name__}: {error}" if str(error) else repr(error))
    return heard.whole()


class _Heard:
    """What came of one answer until now."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._events = EventDecoder()
        self._arrivals: list[tuple[float, int]] = []
        self._usage: dict[str, Any] = {}
        self._error = ""

    def take(self, data: bytes) -> None:
        now = time.perf_counter()
        for event in self._events.feed(data):
            if event != b"[DONE]":
                self._chunk(event, now)

    def whole(self) -> Answered:
        return self.failed(self._error) if self._error else self._answered()

    def failed(self, error: str) -> Answered:
        return self._answered(error)

    def _answered(self, error: str = "") -> Answered:
        counted = self._usage.get("completion_tokens")
        times = StreamTimes(self._started, tuple(self._arrivals), counted, error)
        return Answered(times, self._usage.get("prompt_tokens"))

    def _chunk(self, event: bytes, now: float) -> None:
        try:
            chunk = json.loads(event)
            if chunk.get("error"):
                self._error = _said(event.decode())
                return
            delta = (chunk.get("choices") or [{}])[0].get("delta") or {}
            if any(delta.get(key) for key in ("content", "reasoning_content", "reasoning")):
                self._arrivals.append((now, 1))
            self._usage = chunk.get("usage") or self._usage
        except (ValueError, AttributeError, TypeError):
            self._error = f"a chunk that is none: {event[:100]!r}"


def _said(body: str) -> str:
    """The message in an error's JSON, or the start of what else came."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return " ".join(body.split())[:200]
    said = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(said).split())[:200]
