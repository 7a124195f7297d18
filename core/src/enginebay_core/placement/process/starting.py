"""From a launch to a worker whose model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enginebay_core.api import ModelError, Progress
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.worker import Launch, Worker


@dataclass(frozen=True)
class Started:
    """``seconds`` is what it took."""

    worker: Worker
    loaded: wire.Loaded
    seconds: float


def describe(worker: Worker, launch: Launch, progress: Progress) -> wire.Described:
    """Wait for the process, and have it make the backend and check its options."""
    try:
        hello = worker.expect(wire.Hello, progress)
    except ModelError as error:
        raise ModelError(
            f"{error}\n{launch.executable} must have enginebay-core[process], the same as the "
            f"server's, and the backend {launch.backend!r}"
        ) from None
    _require_same_layout(hello, launch)
    where = f"models.{launch.name}.options"
    worker.link.send(wire.Describe(launch.backend, launch.options, where))
    described = worker.expect(wire.Described, progress)
    worker.link.hide()
    return described


def start(launch: Launch, directory: Path, progress: Progress) -> Started:
    """Blocks until the model in ``directory`` is loaded. Raises what loading raises, ModelError
    when the process dies or hangs on the way, and whatever ``progress`` raises to stop it.
    """
    return start_with(launch, lambda _: directory, progress)


def start_with(
    launch: Launch, find: Callable[[wire.Described], Path], progress: Progress
) -> Started:
    """The same; ``find`` is called when the options are known to be sound."""
    begun = time.monotonic()
    worker = Worker(launch)
    try:
        directory = find(describe(worker, launch, progress))
        worker.link.send(wire.Load(str(directory), launch.queue, launch.grammars))
        loaded = worker.expect(wire.Loaded, progress)
    except BaseException:
        worker.end()
        raise
    return Started(worker, loaded, time.monotonic() - begun)


def _require_same_layout(hello: wire.Hello, launch: Launch) -> None:
    ours = wire.hello()
    if hello.layout != ours.layout:
        raise ModelError(
            f"{launch.executable} has enginebay-core {hello.core}, which does not speak the "
            f"protocol of this server's {ours.core}: install the server's own version there"
        )
