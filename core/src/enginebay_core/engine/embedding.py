"""The one thread that owns an embedder: inputs of all requests, batched by their length."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    Embedder,
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineError,
    Overloaded,
)
from enginebay_core.engine.mailbox import Deliver, Embedding, Letter, deliver
from enginebay_core.engine.probe import BROKEN, PROBE
from enginebay_core.engine.queue import QueueLimits

WINDOW: Final = 64
"""Inputs, the oldest first, among which company for the oldest is looked for."""
MAX_WAITING: Final = 16_384
"""Inputs of all requests."""
CLOSE_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Input:
    """One text on its way. ``mailbox`` is whatever ``deliver`` knows the reader by. The one that
    ``leads`` its request is the first of it to be due: with that the request's wait is over.
    """

    ids: Sequence[int]
    mailbox: Any
    leads: bool = True
    since: float = field(default_factory=time.monotonic)


class EmbeddingLoop:
    """Starts its thread at once; ``close`` ends it and closes the embedder on that same thread.

    ``broken`` says why it ended before that, in words for everyone; None while it did not.
    """

    def __init__(
        self,
        embedder: Embedder,
        name: str,
        queue: QueueLimits,
        deliver: Deliver = deliver,
        give_up: Callable[[str], None] = lambda why: None,
    ) -> None:
        """Of ``queue`` the seconds count here: requests are let in elsewhere. ``give_up`` is told
        on the embedder's thread, once, that the loop is ``broken``.
        """
        self.steps = 0
        self.broken: str | None = None
        self._seconds = queue.seconds
        self._embedder = embedder
        self._name = name
        self._deliver = deliver
        self._give_up = give_up
        self._waiting: dict[Input, None] = {}  # in the order in which they came
        self._running: list[Input] = []
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"embedder-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def submit(self, item: Input) -> None:
        """From any thread. Raises EngineClosed once ``close`` was called, EngineCrashed once the
        loop is broken, and Overloaded when too many wait.
        """
        with self._wake:
            if self._closing:
                raise self._over(f"backend {self._name!r} is closed")
            if len(self._waiting) >= MAX_WAITING:
                raise Overloaded(f"{MAX_WAITING} inputs wait for backend {self._name!r} already")
            self._waiting[item] = None
            self._wake.notify()

    def cancel(self, item: Input) -> None:
        """From any thread: forget it, unless it is being computed."""
        with self._wake:
            self._waiting.pop(item, None)

    def close(self) -> None:
        """Returns when the embedder is closed, or ``CLOSE_SECONDS`` later when it hangs."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("backend %r hangs and cannot be closed", self._name)
            self._end_all()

    def _run(self) -> None:
        try:
            while self._sleep():
                self._expire()
                self._take()
                self._step()
        except BaseException:  # of our own too: nobody may wait for one without a thread
            log.exception("backend %r cannot go on after %d batches", self._name, self.steps)
            self._break("what runs its batches failed; the server's log has the reason")
        finally:
            self._end()

    def _sleep(self) -> bool:
        """Until there is something to do; False when it is time to end."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            return not self._closing

    def _expire(self) -> None:
        """Let those go who have waited for too long; whoever is told cancels the others of its
        request.
        """
        before = time.monotonic() - self._seconds
        with self._wake:
            late = [item for item in self._waiting if item.leads and item.since < before]
            for item in late:
                del self._waiting[item]
        words = f"no room within {self._seconds:g} s: backend {self._name!r} is busy"
        self._tell(late, [Overloaded(words) for _ in late])

    def _take(self) -> None:
        with self._wake:
            batch_ids = self._embedder.spec.batch_ids
            self._running = choose(self._waiting, batch_ids) if self._waiting else []
            for item in self._running:
                del self._waiting[item]

    def _step(self) -> None:
        if not self._running:
            return
        vectors = self._embed([item.ids for item in self._running])
        done, self._running = self._running, []
        self.steps += 1
        if vectors is None:
            self._tell(done, [self._failed() for _ in done])
            self._examine()
        else:
            self._tell(done, [Embedding(vector.tobytes()) for vector in vectors])

    def _embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32] | None:
        """None when the embedder failed."""
        try:
            found = np.asarray(self._embedder.embed(inputs), dtype=np.float32)
            expected = (len(inputs), self._embedder.spec.dimensions)
            if found.shape != expected:
                raise ValueError(f"embed returned shape {found.shape}, not {expected}")
        except BaseException:  # a plugin may raise anything, SystemExit too: these inputs fail
            log.exception("backend %r failed on %d inputs", self._name, len(inputs))
            return None
        return found

    def _examine(self) -> None:
        """After a failure: an input may be at fault for it, or the embedder for all to come."""
        if self._embed([PROBE.prompt]) is None:
            self._break(BROKEN)

    def _failed(self) -> EngineBayError:
        return EngineError(
            f"backend {self._name!r} failed on this input; the server's log has the reason"
        )

    def _break(self, why: str) -> None:
        log.error("backend %r is broken: %s", self._name, why)
        with self._wake:
            self._closing = True
            self.broken = why

    def _over(self, closed: str) -> EngineError:
        """What whoever comes too late, or has waited in vain, is told: why it is broken, or what
        ``closed`` says.
        """
        if self.broken is None:
            return EngineClosed(closed)
        return EngineCrashed(f"backend {self._name!r} is broken: {self.broken}")

    def _end(self) -> None:
        self._end_all()
        self._running = []
        if self.broken is not None:
            self._give_up(self.broken)  # before the embedder's end, which may hang as well
        try:
            self._embedder.close()
        except BaseException:  # closing goes on, whatever a plugin raises
            log.exception("backend %r failed to close", self._name)

    def _end_all(self) -> None:
        with self._wake:
            ended = [*self._running, *self._waiting]
            self._waiting.clear()
        words = f"backend {self._name!r} was closed before this request was done"
        self._tell(ended, [self._over(words) for _ in ended])

    def _tell(self, items: Iterable[Input], letters: Iterable[Letter]) -> None:
        mailboxes = [item.mailbox for item in items]
        self._deliver(list(zip(mailboxes, letters, strict=True)))


def choose(waiting: Iterable[Input], batch_ids: int) -> list[Input]:
    """The oldest, and of those after it the ones nearest to it in length, as many as fit into
    ``batch_ids`` when all are padded to the longest.
    """
    oldest, *others = islice(waiting, WINDOW)
    chosen, longest = [oldest], len(oldest.ids)
    for item in sorted(others, key=lambda other: abs(len(other.ids) - len(oldest.ids))):
        longest = max(longest, len(item.ids))
        if longest * (len(chosen) + 1) > batch_ids:
            break
        chosen.append(item)
    return chosen
