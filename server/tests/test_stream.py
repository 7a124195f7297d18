"""The end of a stream, however it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message

from enginebay_core.api import EngineError
from enginebay_server.stream import EventStream

SCOPE: dict[str, Any] = {"type": "http"}


class Client:
    """The other side of an ASGI call; ``gone`` is set when it leaves."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.arrived = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.arrived.set()

    async def wait_for(self, text: str) -> None:
        while text not in self.text:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 5)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


class Frames:
    """One frame, then silence until it is closed, or a failure."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.closed = asyncio.Event()
        self.failure = failure

    async def make(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: 1\n\n"
            if self.failure:
                raise self.failure
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def begun(stream: EventStream, client: Client) -> asyncio.Task[None]:
    await stream.prime()
    task = asyncio.create_task(stream(SCOPE, client.receive, client.send))
    await client.wait_for("data: 1")
    return task


async def test_a_client_that_leaves_closes_the_frames() -> None:
    frames, client = Frames(), Client()
    task = await begun(EventStream(frames.make(), 60, {}), client)
    client.gone.set()
    await asyncio.wait_for(task, 1)
    assert frames.closed.is_set()


async def test_a_stream_that_is_cut_off_says_so() -> None:
    frames, client = Frames(), Client()
    task = await begun(EventStream(frames.make(), 60, {}), client)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    assert frames.closed.is_set()
    assert '"code":"engine_closed"' in client.text
    assert client.text.endswith("data: [DONE]\n\n")
    assert client.sent[-1]["more_body"] is False


@pytest.mark.parametrize(
    ("failure", "words"),
    [(EngineError("backend 'x' failed"), "backend 'x' failed"), (ValueError("/etc"), "its log")],
)
async def test_a_failure_is_told_in_the_stream(failure: Exception, words: str) -> None:
    client = Client()
    task = await begun(EventStream(Frames(failure).make(), 60, {}), client)
    await asyncio.wait_for(task, 1)
    assert words in client.text
    assert "/etc" not in client.text
    assert client.text.endswith("data: [DONE]\n\n")


async def test_a_failure_before_the_first_frame_is_raised() -> None:
    async def fail() -> AsyncGenerator[bytes, None]:
        raise EngineError("at once")
        yield b""

    with pytest.raises(EngineError, match="at once"):
        await EventStream(fail(), 60, {}).prime()


async def test_a_first_frame_that_is_late_comes_later() -> None:
    ready = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        await ready.wait()
        yield b"data: 1\n\n"

    client = Client()
    stream = EventStream(slow(), 0.01, {})
    await stream.prime()
    task = asyncio.create_task(stream(SCOPE, client.receive, client.send))
    await client.wait_for(": keep-alive")
    ready.set()
    await asyncio.wait_for(task, 1)
    assert client.text.endswith("data: 1\n\n")


async def test_a_client_that_leaves_before_the_first_frame() -> None:
    closed = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.set()

    client = Client()
    stream = EventStream(slow(), 0.01, {})
    await stream.prime()
    client.gone.set()
    await asyncio.wait_for(stream(SCOPE, client.receive, client.send), 1)
    assert closed.is_set()
