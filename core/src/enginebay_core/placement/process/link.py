"""The two sockets between the server and the process of one model.

Commands go one way, reports the other, each as PUSH to PULL: where the reader is slow the sender
waits, nothing is ever dropped. On systems with unix sockets they lie in a directory that only this
user can enter, and only until both ends are connected: the server thinks of a name, the child makes
the directory, and each removes it when the other is gone. Elsewhere they are ports of the loopback
interface, and a peer without this run's own key (CurveZMQ, ``zmq_curve(7)``) is not let in.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec
import zmq

from enginebay_core.placement.process.wire import Command, Message, Report

IncomingT = TypeVar("IncomingT")

LONGEST_PATH: Final = 90
"""A unix socket's path may have 107 bytes, on macOS 103."""

RETRY_MILLISECONDS: Final = 10


class Address(msgspec.Struct, frozen=True):
    """What the child is told on its standard input: the ``directory`` to make for its sockets, or
    where the server listens and its public ``key``, which nobody else learns.
    """

    commands: str
    reports: str
    directory: str | None = None
    key: str | None = None


class Link(Generic[IncomingT]):
    """One end. Any thread may ``send``; one alone may ``receive``."""

    def __init__(self, incoming: type[IncomingT]) -> None:
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.PUSH)
        self._in = self._context.socket(zmq.PULL)
        self._poller = zmq.Poller()
        self._poller.register(self._in, zmq.POLLIN)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=plain)
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._sending = threading.Lock()
        self._closed = False

    def send(self, message: Message) -> bool:
        """Waits while the other end is slow to read. False says that this end is closed."""
        frame = self._encoder.encode(message)
        with self._sending:
            if not self._closed:
                self._out.send(frame)
            return not self._closed

    def receive(self, seconds: float | None) -> list[IncomingT]:
        """Wait for something to come, at most so long, then return all that is there."""
        self._poller.poll(None if seconds is None else int(1000 * seconds))
        return list(self._read())

    def watch(self, descriptor: int) -> None:
        """Let ``receive`` return as well when this file is readable."""
        self._poller.register(descriptor, zmq.POLLIN)

    def close(self, linger: float = 0) -> None:
        """Wait so long for what was sent to leave. Safe to repeat."""
        with self._sending:
            if self._closed:
                return
            self._closed = True
        self._context.destroy(linger=int(1000 * linger))

    def _read(self) -> Sequence[IncomingT]:
        read: list[IncomingT] = []
        while True:
            try:
                read.append(self._decoder.decode(self._in.recv(zmq.NOBLOCK)))
            except zmq.Again:
                return read


class ServerLink(Link[Report]):
    """Made before the child, which learns ``address``. Its ``send`` never waits: the number of
    commands under way is bounded by the number of requests.
    """

    def __init__(self, *, unix: bool) -> None:
        super().__init__(Report)  # type: ignore[arg-type]  # a union is no class to mypy
        self._out.setsockopt(zmq.SNDHWM, 0)
        self.address = self._connect_unix() if unix else self._bind_loopback()

    def hide(self) -> None:
        """Once both ends are connected nothing of it need be left in the file system."""
        if self.address.directory is not None:
            shutil.rmtree(self.address.directory, ignore_errors=True)

    def close(self, linger: float = 0) -> None:
        super().close(linger)
        self.hide()

    def _connect_unix(self) -> Address:
        """Which succeeds some time after the child has made the directory."""
        directory = private_directory()
        address = Address(f"ipc://{directory}/commands", f"ipc://{directory}/reports", directory)
        for socket in (self._out, self._in):
            socket.setsockopt(zmq.RECONNECT_IVL, RETRY_MILLISECONDS)
        self._out.connect(address.commands)
        self._in.connect(address.reports)
        return address

    def _bind_loopback(self) -> Address:
        public, secret = zmq.curve_keypair()
        for socket in (self._out, self._in):
            socket.curve_server = True
            socket.curve_secretkey = secret
            socket.bind("tcp://127.0.0.1:*")
        return Address(_endpoint(self._out), _endpoint(self._in), key=public.decode())


class ChildLink(Link[Command]):
    def __init__(self, address: Address) -> None:
        if address.directory is not None:
            Path(address.directory).mkdir(mode=0o700)
        super().__init__(Command)  # type: ignore[arg-type]  # a union is no class to mypy
        if address.directory is not None:
            self._in.bind(address.commands)
            self._out.bind(address.reports)
        else:
            self._show_key(str(address.key))
            self._in.connect(address.commands)
            self._out.connect(address.reports)

    def _show_key(self, key: str) -> None:
        public, secret = zmq.curve_keypair()
        for socket in (self._out, self._in):
            socket.curve_serverkey = key.encode()
            socket.curve_publickey, socket.curve_secretkey = public, secret


def plain(value: Any) -> Any:
    """What engines give in place of Python's own numbers and dictionaries, as those."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):  # a scalar of numpy, torch and others
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be sent between processes: {value!r}")


def _endpoint(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def private_directory() -> str:
    """The path of one that is yet to be made, which nobody can guess, short enough for a socket."""
    name = f"enginebay-{secrets.token_hex(8)}"
    usual = Path(tempfile.gettempdir(), name)
    return str(usual) if len(str(usual)) <= LONGEST_PATH else f"/tmp/{name}"  # noqa: S108
