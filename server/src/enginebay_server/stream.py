"""An answer as server-sent events, while it is made."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from enginebay_core.api import EngineBayError, EngineClosed
from enginebay_server.answer import Answer
from enginebay_server.errors import OUT_OF_TIME, WireError, wire_error
from enginebay_server.frames import Shape, error_frame
from enginebay_server.presence import disconnected
from enginebay_server.visit import CLIENT_LEFT, Visit

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
KEEP_ALIVE = b": keep-alive\n\n"
CUT_OFF = wire_error(EngineClosed("The server stopped before the answer was done."))
"""For an engine that does not end its own answers when it is closed."""

log = logging.getLogger(__name__)


async def events(answer: Answer, shape: Shape, *, usage: bool) -> AsyncGenerator[bytes, None]:
    """The frames of a stream; what fails is raised. Closing it stops the generation."""
    opened: set[int] = set()
    async with aclosing(answer.deltas()) as deltas:
        async for delta in deltas:
            if delta.index in opened:
                yield shape.frames(delta)
            else:
                opened.add(delta.index)
                yield shape.opening(delta.index) + shape.frames(delta)
    yield shape.closing(answer.usage if usage else None)


class EventStream(Response):
    """Sends frames as they come and ``: keep-alive`` when none does for ``keep_alive`` seconds.

    The generation ends with the client: when it leaves, ``frames`` is closed. What fails meanwhile
    is told in the frame that ``failure`` makes of it.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        keep_alive: float,
        headers: Mapping[str, str],
        failure: Callable[[WireError], bytes] = error_frame,
    ) -> None:
        self.status_code = 200
        self.background = None
        self._frames = frames
        self._keep_alive = keep_alive
        self._failure = failure
        self._first: asyncio.Future[bytes] | None = None
        self._sent_at = 0.0
        self.init_headers({**HEADERS, **headers})
        del self.headers["content-length"]

    async def prime(self) -> None:
        """Wait for the first frame, so that a failure before it can keep its own status. After
        ``keep_alive`` seconds the stream had better start without it.
        """
        self._first = asyncio.ensure_future(anext(self._frames))
        try:
            await asyncio.wait({self._first}, timeout=self._keep_alive)
        except asyncio.CancelledError:
            self._first.cancel()
            raise
        if self._first.done():
            self._first.result()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit.within(scope)
        sending = asyncio.ensure_future(self._send_all(send, visit))
        watching = asyncio.ensure_future(self._watch(receive, send))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                visit.status = CLIENT_LEFT
        except asyncio.CancelledError:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            why = OUT_OF_TIME if visit.late else CUT_OFF
            visit.status = why.status
            body = self._failure(why)
            await send({"type": "http.response.body", "body": body, "more_body": False})
            raise
        finally:
            sending.cancel()
            watching.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)
            await self._close()

    async def _close(self) -> None:
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)
        await self._frames.aclose()

    async def _send_all(self, send: Send, visit: Visit) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            if self._first is not None:
                await self._send(send, await self._first)
            async for frame in self._frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
                self._sent_at = time.monotonic()
        except Exception as error:
            if not isinstance(error, EngineBayError):
                log.exception("a stream failed")
            failure = wire_error(error)
            visit.status = failure.status
            await self._send(send, self._failure(failure))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, frame: bytes) -> None:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        self._sent_at = time.monotonic()

    async def _watch(self, receive: Receive, send: Send) -> None:
        """Returns when the client has left; meanwhile breaks long silences."""
        self._sent_at = time.monotonic()
        leaving = asyncio.ensure_future(disconnected(receive))
        try:
            while not leaving.done():
                silent = time.monotonic() - self._sent_at
                if silent >= self._keep_alive:
                    await self._send(send, KEEP_ALIVE)
                    silent = 0.0
                await asyncio.wait({leaving}, timeout=self._keep_alive - silent)
        finally:
            leaving.cancel()
