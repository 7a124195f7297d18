"""One client's connection: a request has to arrive in time and in bounds, whatever the route."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from enginebay_server.config import ServerSettings
from enginebay_server.errors import INVALID, SERVER, WireError
from enginebay_server.frames import dumps
from enginebay_server.request_id import new_request_id

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # httptools or h11
    """Uvicorn's protocol, which by itself waits for the end of a request for ever.

    The time of a request begins with the connection, or with the first byte that follows an
    answer, and ends with its own last byte.
    """

    def __init__(self, settings: ServerSettings, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._limits = settings.limits
        self._max_body = settings.max_body_bytes
        self._late: asyncio.TimerHandle | None = None
        self._uncounted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._end(_error(503, "Too many connections.", SERVER, "overloaded"))
            return
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._late is None and self._idle:
            self._expect_request()
        before, was_whole = self.cycle, self._whole
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._whole and self.cycle is not None and not (was_whole and self.cycle is before):
            self._stop_clock()
        self._bound(len(data), same=self.cycle is before, head=was_whole)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._late is None and not (self._idle or self._whole):
            self._expect_request()  # a request that came while another was answered

    def send_400_response(self, msg: str) -> None:
        self._end(_error(400, "This is not HTTP that the server understands.", INVALID))

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered as if it had not asked; uvicorn would log advice on WebSockets,
        which are not served here.
        """

    @property
    def _idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _whole(self) -> bool:
        """Whether the last request of which the head is there has its body too."""
        return self.cycle is None or not self.cycle.more_body

    def _expect_request(self) -> None:
        self._late = self.loop.call_later(self._limits.read_seconds, self._give_up)

    def _stop_clock(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _bound(self, size: int, *, same: bool, head: bool) -> None:
        """Of a head that is not whole, or of a body that nobody reads any more."""
        if not same or not (head or self._idle):
            self._uncounted = 0
            return
        self._uncounted += size
        most = self._limits.header_bytes if head else self._max_body
        if self._uncounted > most:
            said = f"The request has more than {most} bytes before its body."
            self._end(_error(431, said, INVALID, "headers_too_large") if head else b"")

    def _give_up(self) -> None:
        said = f"The request was not there within {self._limits.read_seconds:g} s."
        asked = self._uncounted or not self._idle
        self._end(_error(408, said, INVALID, "request_timeout") if asked else b"")

    def _end(self, answer: bytes) -> None:
        """The app, where it waits for the rest, learns that the client is gone."""
        self._stop_clock()
        begun = not self._idle and self.cycle.response_started
        if not self._idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answer and not begun:
            self.transport.write(answer)
        self.transport.close()


def _error(status: int, message: str, kind: str, code: str | None = None) -> bytes:
    body = dumps(WireError(status, message, kind, None, code).body())
    retry = "retry-after: 1\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n{retry}"
        f"x-request-id: {new_request_id()}\r\n\r\n"
    )
    return head.encode("ascii") + body
