"""What crosses is typed, complete and in order, and nobody else can speak."""

from __future__ import annotations

import dataclasses
import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
import pytest
import zmq

from enginebay_core import api
from enginebay_core.api import (
    EngineBayError,
    GenerationStep,
    Limits,
    Overloaded,
    RequestError,
    TokenLogprob,
)
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.ending import ending
from enginebay_core.placement.process.link import ChildLink, ServerLink
from enginebay_core.placement.process.restarts import Restarts
from enginebay_core.placement.process.starting import start
from enginebay_core.placement.process.worker import Launch

ERRORS = [
    member
    for member in vars(api).values()
    if isinstance(member, type) and issubclass(member, EngineBayError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_arrive_as_they_left(kind: type[EngineBayError]) -> None:
    arrived = wire.error_of(wire.fault_of(kind("words")))
    assert (type(arrived), str(arrived)) == (kind, "words")


def test_what_errors_carry_arrives() -> None:
    class Own(RequestError):
        status = 418

    refused = wire.error_of(wire.fault_of(Own("words", param="top_k", code="odd")))
    assert isinstance(refused, RequestError)
    assert (type(refused), refused.param, refused.code) == (RequestError, "top_k", "odd")
    full = wire.error_of(wire.fault_of(Overloaded("words", retry_after=7)))
    assert isinstance(full, Overloaded)
    assert full.retry_after == 7


def test_every_type_that_travels_is_in_the_layout() -> None:
    reached: set[type] = set()
    for alias in (wire.Command, wire.Report):
        for message in typing.get_args(alias):
            reach(message, reached)
    assert reached == set(wire.SHAPES)


def reach(kind: object, reached: set[type]) -> None:
    for argument in typing.get_args(kind):
        reach(argument, reached)
    travels = isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or issubclass(kind, wire.Message)
    )
    if isinstance(kind, type) and travels and kind not in reached:
        reached.add(kind)
        for field in typing.get_type_hints(kind).values():
            reach(field, reached)


@pytest.fixture(params=[True, False], ids=["unix", "loopback"])
def links(request: pytest.FixtureRequest) -> Iterator[tuple[ServerLink, ChildLink]]:
    server = ServerLink(unix=request.param)
    child = ChildLink(server.address)
    yield server, child
    child.close()
    server.close()


def test_a_slow_reader_makes_the_writer_wait(links: tuple[ServerLink, ChildLink]) -> None:
    """Far more than fits between them: every message arrives, in order."""
    server, child = links
    count, words = 20_000, "x" * 2000
    sent = []

    def write() -> None:
        for index in range(count):
            child.send(wire.Progress(words, index, 0))
            sent.append(index)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(1.0)
    assert len(sent) < count, "nothing held the writer back"
    seen: list[int] = []
    while len(seen) < count:
        reports = server.receive(5.0)
        assert reports, f"{len(seen)} of {count} arrived"
        seen += [report.done for report in reports if isinstance(report, wire.Progress)]
    writer.join()
    assert seen == list(range(count))


def test_what_is_no_message_is_refused(links: tuple[ServerLink, ChildLink]) -> None:
    server, child = links
    child.send(wire.Cancel(3))
    with pytest.raises(msgspec.ValidationError):
        server.receive(5.0)


def test_numbers_of_numpy_arrive_as_numbers(links: tuple[ServerLink, ChildLink]) -> None:
    server, child = links
    best = TokenLogprob(np.int64(7), np.float32(-0.5))  # type: ignore[arg-type]
    step = GenerationStep((np.int32(7),), None, ((best,),))  # type: ignore[arg-type]
    limits = Limits(np.int64(9), 8, MappingProxyType({"device": "cpu"}))  # type: ignore[arg-type]
    child.send(wire.Batch(wire.Work(1, 1, 0), [(3, step)]))
    child.send(wire.Loaded(limits, {}, []))
    reports: list[wire.Report] = []
    while len(reports) < 2:
        reports += server.receive(5.0)
    plain = GenerationStep((7,), None, ((TokenLogprob(7, -0.5),),))
    assert reports[0] == wire.Batch(wire.Work(1, 1, 0), [(3, plain)])
    assert reports[1] == wire.Loaded(Limits(9, 8, {"device": "cpu"}), {}, [])
    with pytest.raises(TypeError, match="object cannot be sent between processes"):
        child.send(wire.Progress(object(), 0, 0))  # type: ignore[arg-type]


def test_a_stranger_on_the_loopback_is_not_heard(tmp_path: Path) -> None:
    server = ServerLink(unix=False)
    stranger: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    pushing = stranger.socket(zmq.PUSH)
    pushing.connect(server.address.reports)
    pushing.send(msgspec.msgpack.encode(wire.hello()))
    child = ChildLink(server.address)
    child.send(wire.Described("bytes", {}))
    assert server.receive(5.0) == [wire.Described("bytes", {})]
    assert server.receive(0.3) == []
    stranger.destroy(linger=0)
    child.close()
    server.close()


def test_a_model_runs_over_the_loopback_as_well(temporary: Path) -> None:
    from enginebay_core.toy import model

    launch = Launch("mine", "toy", {}, unix=False)
    started = start(launch, model(), lambda *_: None)
    started.worker.end(5.0)
    assert started.loaded.limits.vocab_size == 259
    assert list(temporary.iterdir()) == []


def test_the_sockets_are_their_owners_alone(temporary: Path) -> None:
    server = ServerLink(unix=True)
    assert list(temporary.iterdir()) == []
    child = ChildLink(server.address)
    (directory,) = temporary.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        ChildLink(server.address)
    child.close()
    server.close()
    assert list(temporary.iterdir()) == []


def test_what_is_closed_sends_nothing() -> None:
    server = ServerLink(unix=True)
    server.close()
    assert not server.send(wire.Close())
    server.close()


def test_a_long_temporary_directory_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    server = ServerLink(unix=True)
    child = ChildLink(server.address)
    child.send(wire.hello())
    assert server.receive(5.0) == [wire.hello()]
    child.close()
    server.close()
    assert not Path(str(server.address.directory)).exists()


def test_endings_in_words() -> None:
    assert ending(-11).startswith("died of SIGSEGV (native code")
    assert ending(-15) == "died of SIGTERM"
    assert ending(-64) == "died of SIGRTMAX"
    assert ending(1) == "ended by itself with exit code 1"


def test_pauses_double_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    restarts = Restarts(8)
    assert [restarts.next_delay() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, None]
    clock[0] += 601
    assert restarts.next_delay() == 0.5
    assert Restarts(0).next_delay() is None
