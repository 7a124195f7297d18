"""The app on a port of this machine, until a signal ends it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from types import FrameType
from typing import Final, TextIO, cast

import uvicorn
from fastapi import FastAPI

from enginebay_core.api import ConfigError
from enginebay_core.placement.heap import freeze_heap
from enginebay_server.app import build_app
from enginebay_server.config import ServerSettings, Settings
from enginebay_server.connection import BoundedProtocol
from enginebay_server.logs import configure_logging
from enginebay_server.models import CLOSE_SECONDS, ModelTable
from enginebay_server.service import Service
from enginebay_server.welcome import welcome

GRACE_SECONDS: Final = int(CLOSE_SECONDS) + 2
"""How long closing the models and saying so to their clients may take, after the drain."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


def serve(settings: Settings, out: TextIO | None = None) -> int:
    """Blocks until SIGINT or SIGTERM; returns the exit code, 0 after a stop in good order.

    The welcome goes to ``out`` (stdout), the log to stderr. Raises ConfigError before anything is
    opened or loaded when the settings cannot be served, a port in use included.
    """
    configure_logging(settings.server.log_format)
    listener = listen(settings.server)
    base_url = url_of(settings.server, listener)
    models = ModelTable(settings.models, loaded=freeze_heap)
    try:
        app = build_app(settings.server, models, base_url)
    except ConfigError:
        listener.close()
        raise
    service: Service = app.state.service
    text = welcome(base_url, list(settings.models), needs_key=service.needs_key)
    print(text + "\nCtrl-C stops it.", file=out or sys.stdout, flush=True)
    Server(app, settings.server).run([listener])
    return 0


def listen(settings: ServerSettings) -> socket.socket:
    """Bound and listening, so that a port in use is known before anything loads; port 0 takes a
    free one. Raises ConfigError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        nowhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        repair = (
            "set server.host to an address of this machine"
            if nowhere
            else "set server.port to another, or to 0 for a free one"
        )
        raise ConfigError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            f"{repair}"
        ) from None
    return listener


def url_of(settings: ServerSettings, listener: socket.socket) -> str:
    """The base URL for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(  # noqa: S104 - compared, not bound
        settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host
    )
    return f"http://{host}:{listener.getsockname()[1]}/v1"


class Server(uvicorn.Server):
    """Uvicorn's, but a stop drains: running answers finish in ``shutdown_seconds`` or are ended
    with an error that says so; a second signal ends the process at once. SIGHUP reads the keys
    again.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        self._service: Service = app.state.service
        self._seconds = settings.shutdown_seconds
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, settings)),
                h11_max_incomplete_event_size=settings.limits.header_bytes,
                timeout_keep_alive=65,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """New requests are told so, and ``/health`` is 503, for as long as old ones run."""
        self._service.models.refuse_new()
        ending = asyncio.create_task(self._end_running())
        drained = asyncio.create_task(self._service.intake.empty.wait())
        await asyncio.wait({ending, drained}, return_when=asyncio.FIRST_COMPLETED)
        await super().shutdown(sockets)
        drained.cancel()
        ending.cancel()

    async def _end_running(self) -> None:
        await asyncio.sleep(self._seconds)
        await asyncio.to_thread(self._service.models.close)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without raising them again at the end, as uvicorn does: a stop asked for is success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        if hasattr(signal, "SIGHUP"):
            kept[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _reload(self, sig: int, frame: FrameType | None) -> None:
        Context().run(self._service.keys.reload)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + sig)
        said = "stopping; running answers have %g s, a second signal ends at once"
        Context().run(log.info, said, self._seconds)  # not about the request that it interrupts
        self.should_exit = True
