"""What every request passes first: decided on headers and the raw path, before any route runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enginebay_server.auth import KeyRing
from enginebay_server.config import Bounds, ServerSettings
from enginebay_server.errors import OUT_OF_TIME, WireError
from enginebay_server.hosts import HostNames
from enginebay_server.quotas import Quotas
from enginebay_server.reply import json_response
from enginebay_server.visit import Visit

OPEN_PATHS: Final = frozenset({b"/health", b"/livez"})
"""As they stand in the request line: another spelling of them is closed."""


class Gate:
    """ASGI: refuses what has too many headers (431), an unknown framing or a foreign Host (400), no
    key (401), or a key that has used up its share (429); ends what takes too long (504).
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys
        self._limits = settings.limits
        self._hosts = HostNames(settings, keyed=keys.needed)
        self._quotas = Quotas(settings.per_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _too_long(scope, self._limits) or _coded(scope) or self._foreign(scope)
        if refusal is None and scope["raw_path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        visit = Visit()
        try:
            refusal = refusal or self._unknown(scope, visit) or self._spent(scope, visit)
            if refusal is not None:
                await _answer(refusal, scope, receive, send)
                return
            visit.enter(scope)
            await self._within_time(visit, scope, receive, self._counted(visit, send))
        finally:
            visit.close()

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

    def _counted(self, visit: Visit, send: Send) -> Send:
        """Tells what is left of the key's share beside every answer, where it has one."""
        if self._quotas.unlimited:
            return send

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = self._quotas.headers(visit).items()
                told_headers = [(name.encode(), value.encode()) for name, value in told]
                message["headers"] = [*message.get("headers", []), *told_headers]
            await send(message)

        return counted

    async def _within_time(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        started = _Started(send)
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            visit.late = True
            task.cancel()

        timer = asyncio.get_running_loop().call_later(self._limits.request_seconds, end)
        try:
            await self._app(scope, receive, started.send)
        except asyncio.CancelledError:
            if not visit.late or task.uncancel():
                raise
            if not started.begun:
                await _answer(OUT_OF_TIME, scope, receive, send)
        finally:
            timer.cancel()


class _Started:
    """Knows whether an answer has begun, at no cost for what follows its beginning."""

    def __init__(self, send: Send) -> None:
        self.begun = False
        self._send = send

    async def send(self, message: Message) -> None:
        self.begun = True
        await self._send(message)


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
