"""Keeps the process of one model alive, and tells its readers what has become of them."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineStats,
    GenerationRequest,
    Limits,
    Overloaded,
)
from enginebay_core.engine.mailbox import Embedding, Letter, Mailbox, deliver
from enginebay_core.grammar import Vocabulary
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.link import ServerLink
from enginebay_core.placement.process.restarts import Restarts
from enginebay_core.placement.process.stall import Stall
from enginebay_core.placement.process.starting import Started, start
from enginebay_core.placement.process.worker import TICK_SECONDS, Launch
from enginebay_core.placement.running import READY, Condition

CLOSE_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class Supervisor:
    """Its thread reads the child's reports, looks for crashes and hangs, and starts a new child
    after one. ``submit`` and ``cancel`` may be called from any thread. ``restarted`` counts how
    often it has started one, whether that one came up or not.
    """

    def __init__(
        self, launch: Launch, directory: Path, started: Started, spell: Callable[[], Vocabulary]
    ) -> None:
        """``spell`` makes the vocabulary for grammars, whenever a child first needs it."""
        self._launch = launch
        self._directory = directory
        self._started = started
        self._spell = spell
        self._restarts = Restarts(launch.restarts)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[int, Mailbox] = {}
        self._leaving: set[int] = set()
        self._work = wire.Work(0, 0, 0)
        self._stats = EngineStats()
        self._condition = READY
        self.restarted = 0
        self._failure = ""
        self._retry_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"process-{launch.name}")
        self._thread.daemon = True
        self._thread.start()

    @property
    def condition(self) -> Condition:
        return self._condition

    @property
    def limits(self) -> Limits:
        return self._started.loaded.limits

    @property
    def work(self) -> wire.Work:
        """``waiting`` and ``steps`` as last reported, ``running`` the other requests that the
        child has not yet let go of.
        """
        known = len(self._open) + len(self._leaving)
        waiting = min(self._work.waiting, known)
        return wire.Work(self._work.steps, known - waiting, waiting)

    @property
    def stats(self) -> EngineStats:
        """As told with the last beat. Where the engine does not say, all that is under way runs."""
        stats = self._stats
        return stats if stats.running is not None else replace(stats, running=self.work.running)

    @property
    def pid(self) -> int:
        return self._started.worker.pid

    def submit(self, request: GenerationRequest, mailbox: Mailbox) -> int:
        """The number of the request. Raises EngineClosed, Overloaded during a restart and
        EngineCrashed after the last.
        """
        return self._submit(lambda number: wire.Start(number, request), mailbox)

    def embed(self, ids: tuple[int, ...], mailbox: Mailbox, *, leads: bool) -> int:
        """The same for one input to embed."""
        return self._submit(lambda number: wire.Embed(number, ids, leads), mailbox)

    def _submit(self, command: Callable[[int], wire.Command], mailbox: Mailbox) -> int:
        with self._lock:
            self._refuse()
            number = next(self._numbers)
            self._open[number] = mailbox
            self._started.worker.link.send(command(number))
        return number

    def cancel(self, number: int) -> None:
        with self._lock:
            if self._open.pop(number, None) is not None:
                self._leaving.add(number)
                self._started.worker.link.send(wire.Cancel(number))

    def close(self) -> None:
        """Blocks for little more than ``CLOSE_SECONDS``. Safe to repeat."""
        with self._lock:
            self._closing.set()
            self._started.worker.link.send(wire.Close())
        self._end_open(lambda: EngineClosed(f"backend {self._name!r} was closed"))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def _name(self) -> str:
        return self._launch.backend

    def _refuse(self) -> None:
        if self._closing.is_set():
            raise EngineClosed(f"backend {self._name!r} is closed")
        if self._condition.state == "failed":
            raise EngineCrashed(str(self._condition.reason))
        if self._condition.state == "restarting":
            raise self._restarting()

    def _restarting(self) -> Overloaded:
        left = max(1.0, self._retry_at - time.monotonic())
        return Overloaded(f"backend {self._name!r} restarts after a crash", retry_after=left)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._lose(self._watch())
                if not self._closing.is_set() and not self._start_again():
                    return
        finally:
            self._started.worker.end(CLOSE_SECONDS)
            self._end_open(lambda: EngineClosed(f"backend {self._name!r} was closed"))

    def _watch(self) -> str:
        """Serve until the child has died, hangs or gives up; returns which, and why. At once when
        closing.
        """
        stall = Stall(self._launch.deadlines)
        worker = self._started.worker
        while not self._closing.is_set():
            try:
                reports = worker.link.receive(TICK_SECONDS)
            except Exception:  # garbage from the child, which is then as good as dead
                log.exception("%s: the process of backend %r is not understood", *self._names)
                return "sent what is no message"
            for report in reports:
                if isinstance(report, wire.Failed):
                    return f"gave up: {report.fault.text}"
                self._take(report, stall)
            if reports:
                continue
            if died := worker.died():
                return died
            if hung := stall.look(busy=bool(self._open or self._leaving)):
                worker.dump()
                return hung
        return "closed"

    def _take(self, report: wire.Report, stall: Stall) -> None:
        if isinstance(report, wire.Batch):
            self._work = report.work
            stall.heard(report.work.steps)
            self._hand_out(report)
        elif isinstance(report, wire.Beat):
            self._work, self._stats = report.work, report.stats
            stall.heard(report.work.steps)
        elif isinstance(report, wire.Progress):
            stall.progressed()
        elif isinstance(report, wire.AskSpelling):
            link = self._started.worker.link
            threading.Thread(target=self._send_spelling, args=(link,), daemon=True).start()

    def _send_spelling(self, link: ServerLink) -> None:
        """Takes about a second; the child makes an error of an empty one."""
        spelling = wire.Spelling([], [])
        try:
            vocabulary = self._spell()
            spelling = wire.Spelling(list(vocabulary.tokens), sorted(vocabulary.control))
        except Exception:  # another's tokenizer may raise anything
            log.exception("%s: the tokenizer of backend %r cannot be spelled", *self._names)
        link.send(spelling)

    def _hand_out(self, batch: wire.Batch) -> None:
        letters: list[tuple[Mailbox, Letter]] = []
        with self._lock:
            for number, step in batch.steps:
                mailbox = self._open.get(number)
                if mailbox is not None:
                    letters.append((mailbox, step))
                    if step.finish is not None:
                        del self._open[number]
            for number, vector in batch.vectors:
                mailbox = self._open.pop(number, None)
                if mailbox is not None:
                    letters.append((mailbox, Embedding(vector)))
            for number, fault in batch.ended:
                mailbox = self._open.pop(number, None)
                if mailbox is not None:
                    letters.append((mailbox, wire.error_of(fault)))
            self._leaving.difference_update(batch.gone)
        deliver(letters)

    def _lose(self, why: str) -> None:
        """The child is gone, or as good as: end it, and tell whoever waits for it."""
        if self._closing.is_set():
            return
        lost = f"the process of backend {self._name!r} {why}"
        log.error("%s: %s", self._launch.name, lost)
        with self._lock:
            self._condition = Condition("restarting", lost)
            self._retry_at = time.monotonic() + self._started.seconds
        self._stats = EngineStats()
        self._started.worker.end()
        self._end_open(lambda: EngineCrashed(f"{lost} while it worked on this request"))

    def _start_again(self) -> bool:
        """Until it runs; False when it was closed meanwhile, or has failed for good."""
        while (delay := self._restarts.next_delay()) is not None:
            self._retry_at = time.monotonic() + delay + self._started.seconds
            if self._closing.wait(delay):
                return False
            with suppress(_Closing):
                if self._try_to_start():
                    return True
        self._give_up()
        return False

    def _try_to_start(self) -> bool:
        self.restarted += 1
        try:
            started = start(self._launch, self._directory, self._progress)
        except _Closing:
            raise
        except Exception as error:  # of the system's too: no more open files, no more processes
            known = isinstance(error, EngineBayError)
            self._failure = str(error) if known else f"{type(error).__name__}: {error}"
            log.error("%s: backend %r did not start again: %s", *self._names, self._failure)
            return False
        with self._lock:
            self._started, self._condition, self._failure = started, READY, ""
        log.info("%s: backend %r is back after %.1f s", *self._names, started.seconds)
        return True

    def _give_up(self) -> None:
        reason = f"{self._condition.reason}; restarts in ten minutes: {self._restarts.limit}"
        if self._failure:
            reason += f"; the last of them: {self._failure}"
        name = self._launch.name
        log.error("%s: %s. The model is failed until the server starts anew", name, reason)
        with self._lock:
            self._condition = Condition("failed", reason)

    def _progress(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Nobody looks on; but a server that stops need not wait for the load."""
        if self._closing.is_set():
            raise _Closing

    def _end_open(self, error: Callable[[], EngineBayError]) -> None:
        """Each reader gets an exception of its own: a shared one would grow its traceback."""
        with self._lock:
            ended = list(self._open.values())
            self._open.clear()
            self._leaving.clear()
        deliver([(mailbox, error()) for mailbox in ended])

    @property
    def _names(self) -> tuple[str, str]:
        return self._launch.name, self._name


class _Closing(Exception):
    """The server stops while a new child loads."""
