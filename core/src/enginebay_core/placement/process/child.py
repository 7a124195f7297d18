"""The process of one model: ``python -m enginebay_core.placement.process.child``.

Started by the server, which tells on standard input where to connect. Makes the backend, loads the
model, runs requests until told to close.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from enginebay_core.api import (
    Backend,
    Embedder,
    EngineBayError,
    EngineOptions,
    Generator,
    Limits,
    StepEngine,
)
from enginebay_core.config import parse_options
from enginebay_core.engine import QueueLimits
from enginebay_core.grammar import Vocabulary
from enginebay_core.placement.heap import freeze_heap
from enginebay_core.placement.loading import load_engine, require_engine
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.embedding_host import EmbeddingHost
from enginebay_core.placement.process.hosts import GeneratorHost, Host, StepHost
from enginebay_core.placement.process.leash import Leash
from enginebay_core.placement.process.link import Address, ChildLink
from enginebay_core.plugins import backend_versions, load_backend

CommandT = TypeVar("CommandT", bound=wire.Message)

LINGER_SECONDS = 2.0


def main() -> int:
    """Returns the exit code: 0 after Close, 1 when there was nothing to serve."""
    settle()
    lifeline = keep_standard_input()
    address = msgspec.json.decode(read_line(lifeline), type=Address)
    link = ChildLink(address)
    leash = Leash(lifeline, address.directory)  # after the directory, which it is to remove
    try:
        serve(link, leash)
    except EngineBayError as error:
        link.send(wire.Failed(wire.fault_of(error)))
        return 1
    finally:
        link.close(LINGER_SECONDS)
    return 0


def serve(link: ChildLink, leash: Leash) -> None:
    link.send(wire.hello())
    backend, name, options = describe(link, expect(link, wire.Describe))
    load = expect(link, wire.Load)
    leash.tighten()
    engine = load_engine(name, backend, Path(load.model), options, report_progress(link))
    host = open_host(engine, name, load, link)
    freeze_heap()
    link.send(loaded(backend, engine))
    threading.Thread(target=beat, args=(link, host), name="heartbeat", daemon=True).start()
    obey(link, host)
    host.close()


class ChildFormat(logging.Formatter):
    """The server says when, of which model, and that it is information: all else is said here."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno == logging.INFO else f"{record.levelname} {text}"


def settle() -> None:
    """Signals are the server's to take, who then ends this process; a crash or SIGUSR1 prints
    where every thread is.
    """
    logging.basicConfig(level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(ChildFormat())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)


def keep_standard_input() -> int:
    """Ours alone from here on: whoever reads standard input finds it empty."""
    kept = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return kept


def read_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(descriptor, 4096)
        if not read:
            sys.exit("the server was gone before it said where to connect")
        line += read
    return line


def expect(link: ChildLink, kind: type[CommandT]) -> CommandT:
    """The next command, which the server sends one at a time until the model is loaded."""
    while True:
        for command in link.receive(None):
            if isinstance(command, kind):
                return command


def describe(link: ChildLink, asked: wire.Describe) -> tuple[Backend[Any], str, EngineOptions]:
    backend = load_backend(asked.backend)
    options = parse_options(backend, asked.options, asked.where)
    link.send(wire.Described(backend.tokenizer, backend_versions(asked.backend)))
    return backend, asked.backend, options


def report_progress(link: ChildLink) -> Any:
    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        link.send(wire.Progress(str(stage), int(done), int(total)))

    return progress


def open_host(
    engine: Generator | StepEngine | Embedder, name: str, load: wire.Load, link: ChildLink
) -> Host:
    require_engine(name, engine, queue_is_set=load.queue is not None)
    queue = QueueLimits(*load.queue) if load.queue else QueueLimits()
    if isinstance(engine, Embedder):
        return EmbeddingHost(engine, name, queue, link.send)
    if isinstance(engine, StepEngine):
        return StepHost(engine, name, queue, link.send, load.grammars)
    return GeneratorHost(engine, name, link.send)


def loaded(backend: Backend[Any], engine: Generator | StepEngine | Embedder) -> wire.Loaded:
    if isinstance(engine, Embedder):
        made = replace(engine.spec, facts=dict(engine.spec.facts))
        return wire.Loaded(Limits(made.vocab_size, made.max_length, made.facts), {}, [], made)
    if isinstance(engine, StepEngine):
        spec = engine.spec
        limits = Limits(spec.vocab_size, spec.context_length, dict(spec.facts), spec.max_sequences)
    else:
        limits = engine.limits
    capabilities = backend.capabilities(engine)
    return wire.Loaded(limits, dict(capabilities.fields), list(capabilities.forbidden))


def obey(link: ChildLink, host: Host) -> None:
    while True:
        for command in link.receive(None):
            match command:
                case wire.Start(number, request):
                    host.start(number, request)
                case wire.Embed(number, ids, leads) if isinstance(host, EmbeddingHost):
                    host.embed(number, ids, leads=leads)
                case wire.Cancel(number):
                    host.cancel(number)
                case wire.Spelling(tokens, control):
                    host.learn(Vocabulary(tuple(tokens), frozenset(control)))
                case wire.Close():
                    return


def beat(link: ChildLink, host: Host) -> None:
    pause = threading.Event()
    while True:
        link.send(wire.Beat(host.work(), host.stats()))
        pause.wait(wire.BEAT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
