"""The two sockets between the server and the process of one model.

Commands go one way, reports the other, each as PUSH to PULL: where the reader is slow the sender
waits, nothing is ever dropped. On systems with unix sockets they lie in a directory that only this
user can enter, and only until both ends are connected. Elsewhere they are ports of the loopback
interface, and a peer without this run's own key (CurveZMQ, ``zmq_curve(7)``) is not let in.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
import zmq

from enginebay_core.placement.process.wire import Command, Message, Report

IncomingT = TypeVar("IncomingT")

LONGEST_PATH: Final = 90
"""A unix socket's path may have 107 bytes, on macOS 103."""


class Address(msgspec.Struct, frozen=True):
    """What the child is told on its standard input. ``key`` is the server's public key, which
    nobody else learns; ``directory`` is to be removed by whoever is left.
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
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._sending = threading.Lock()
        self._closed = False

    def send(self, message: Message, *, wait: bool = True) -> bool:
        """``wait``: as long as the other end has not read what was sent before. Else False says
        that nothing was sent, because the other end is not there.
        """
        frame = self._encoder.encode(message)
        with self._sending:
            if self._closed:
                return False
            try:
                self._out.send(frame, 0 if wait else zmq.NOBLOCK, copy=True)
            except zmq.Again:
                return False
        return True

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
        self.address = self._bind_unix() if unix else self._bind_loopback()

    def hide(self) -> None:
        """Once both ends are connected nothing of it need be left in the file system."""
        if self.address.directory is not None:
            shutil.rmtree(self.address.directory, ignore_errors=True)

    def close(self, linger: float = 0) -> None:
        super().close(linger)
        self.hide()

    def _bind_unix(self) -> Address:
        directory = private_directory()
        address = Address(f"ipc://{directory}/commands", f"ipc://{directory}/reports", directory)
        self._out.bind(address.commands)
        self._in.bind(address.reports)
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
        super().__init__(Command)  # type: ignore[arg-type]  # a union is no class to mypy
        if address.key is not None:
            public, secret = zmq.curve_keypair()
            for socket in (self._out, self._in):
                socket.curve_serverkey = address.key.encode()
                socket.curve_publickey, socket.curve_secretkey = public, secret
        self._in.connect(address.commands)
        self._out.connect(address.reports)


def _endpoint(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def private_directory() -> str:
    """A new one, of mode 0700, with a path short enough for a socket."""
    directory = tempfile.mkdtemp(prefix="enginebay-")
    if len(directory) <= LONGEST_PATH or not Path("/tmp").is_dir():  # noqa: S108 - mkdtemp is safe
        return directory
    Path(directory).rmdir()
    return tempfile.mkdtemp(prefix="enginebay-", dir="/tmp")
