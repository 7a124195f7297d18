"""What every request passes first: decided on headers and the raw path, before any route runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enginebay_server.auth import KeyRing
from enginebay_server.config import Bounds, ServerSettings
from enginebay_server.errors import OUT_OF_TIME, WireError, wire_error
from enginebay_server.hosts import HostNames
from enginebay_server.logs import log_request
from enginebay_server.metrics import Meters
from enginebay_server.quotas import Quotas
from enginebay_server.reply import json_response
from enginebay_server.request_id import HEADER, request_id
from enginebay_server.spans import tell
from enginebay_server.visit import CLIENT_LEFT, Visit

OPEN_PATHS: Final = frozenset({b"/health", b"/livez"})
"""As they stand in the request line: another spelling of them is closed."""

log = logging.getLogger(__name__)


class Gate:
    """ASGI: refuses what has too many headers (431), an unknown framing or a foreign Host (400), no
    key (401), or a key that has used up its share (429); ends what takes too long (504). Every
    request gets its id here, and is counted and logged when it ends.
    """

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, keys: KeyRing, meters: Meters
    ) -> None:
        self._app = app
        self._keys = keys
        self._meters = meters
        self._limits = settings.limits
        self._hosts = HostNames(settings, keyed=keys.needed)
        self._quotas = Quotas(settings.per_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = Visit(request_id(scope["headers"]))
        answering = answering_to(send, visit, scope)
        refusal = _too_long(scope, self._limits) or _coded(scope) or self._foreign(scope)
        if refusal is None and scope["raw_path"] in OPEN_PATHS:
            await self._app(scope, receive, answering.send)
            return
        visit.enter(scope)
        try:
            refusal = refusal or self._unknown(scope, visit) or self._spent(scope, visit)
            if refusal is not None:
                await _answer(refusal, scope, receive, answering.send)
                return
            if not self._quotas.unlimited:
                answering.shares = lambda: self._quotas.headers(visit)
            await self._within_time(visit, scope, receive, answering)
        finally:
            visit.close()
            visit.status = visit.status or CLIENT_LEFT
            answering.end()
            self._meters.leave(visit, endpoint_of(scope))
            log_request(visit, scope)

    def _foreign(self, scope: Scope) -> WireError | None:
        if self._hosts.allowed(_headers(scope, b"host")):
            return None
        return WireError(
            400,
            "This server is not called by the name in the Host header; the operator can allow it "
            "with server.allowed_hosts.",
            code="invalid_host",
        )

    def _unknown(self, scope: Scope, visit: Visit) -> WireError | None:
        if not self._keys.needed:
            return None
        owner = self._keys.owner(_bearer(scope))
        visit.tenant = owner or ""
        return None if owner is not None else NO_KEY

    def _spent(self, scope: Scope, visit: Visit) -> WireError | None:
        if self._quotas.unlimited or scope["method"] != "POST":
            return None
        return self._quotas.enter(visit)

    async def _within_time(
        self, visit: Visit, scope: Scope, receive: Receive, answering: Answering
    ) -> None:
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            visit.late = True
            task.cancel()

        timer = asyncio.get_running_loop().call_later(self._limits.request_seconds, end)
        try:
            await self._app(scope, receive, answering.send)
        except asyncio.CancelledError:
            if not visit.late or task.uncancel():
                raise
            if not answering.begun:
                await _answer(OUT_OF_TIME, scope, receive, answering.send)
        except Exception as error:
            if answering.begun:
                raise  # uvicorn logs it and cuts the connection
            log.exception("a request failed")
            await _answer(wire_error(error), scope, receive, answering.send)
        finally:
            timer.cancel()


class Answering:
    """Sends an answer, and puts on its beginning what every answer carries; what follows costs
    nothing more. ``shares`` tells what is left to the key, in headers.
    """

    def __init__(self, send: Send, visit: Visit) -> None:
        self.begun = False
        self.shares: Callable[[], Mapping[str, str]] = dict
        self._send = send
        self._visit = visit

    async def send(self, message: Message) -> None:
        if not self.begun:
            self._begin(message)
        await self._send(message)

    def end(self) -> None:
        """Nothing will be sent any more."""

    def _begin(self, message: Message) -> None:
        self.begun = True
        self._visit.status = message["status"]
        told = [(name.encode(), value.encode()) for name, value in self.shares().items()]
        own = (HEADER, self._visit.id.encode())
        message["headers"] = [*message.get("headers", []), own, *told]


class TracedAnswering(Answering):
    """Tells the request's span how it went, before the last message: that ends it."""

    def __init__(self, send: Send, visit: Visit, span: trace.Span, scope: Scope) -> None:
        super().__init__(send, visit)
        self._span = span
        self._scope = scope

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.end()
        await super().send(message)

    def end(self) -> None:
        if self._span.is_recording():
            tell(self._span, self._visit, endpoint_of(self._scope))


def answering_to(send: Send, visit: Visit, scope: Scope) -> Answering:
    span = trace.get_current_span()
    if span.is_recording():
        return TracedAnswering(send, visit, span, scope)
    return Answering(send, visit)


def endpoint_of(scope: Scope) -> str:
    """The path of the route that was found, with its variables; "" where none was."""
    return str(getattr(scope.get("route"), "path", ""))


NO_KEY: Final = WireError(
    401,
    "This server needs an API key: send it as 'Authorization: Bearer KEY'.",
    code="invalid_api_key",
    headers={"WWW-Authenticate": "Bearer"},
)


def _too_long(scope: Scope, limits: Bounds) -> WireError | None:
    headers = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in headers)
    if len(headers) <= limits.headers and size <= limits.header_bytes:
        return None
    return WireError(
        431,
        f"The request has {len(headers)} headers and {size} bytes before its body; at most "
        f"{limits.headers} and {limits.header_bytes} are accepted.",
        code="headers_too_large",
        headers={"Connection": "close"},
    )


def _coded(scope: Scope) -> WireError | None:
    """A body whose end proxies and this server might see in different places."""
    codings = [coding.strip().lower() for coding in _headers(scope, b"transfer-encoding")]
    if not codings or (codings == [b"chunked"] and scope["http_version"] != "1.0"):
        return None
    return WireError(
        400,
        "The body's Transfer-Encoding is not understood; send it plain, or as 'chunked' in "
        "HTTP/1.1.",
        headers={"Connection": "close"},
    )


def _headers(scope: Scope, wanted: bytes) -> Iterable[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _bearer(scope: Scope) -> bytes:
    values = list(_headers(scope, b"authorization"))
    if len(values) != 1:
        return b""
    scheme, _, key = values[0].partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


async def _answer(error: WireError, scope: Scope, receive: Receive, send: Send) -> None:
    response = json_response(error.body(), status=error.status, headers=dict(error.headers))
    await response(scope, receive, send)
