"""The one thread that owns an engine: drain the inbox, schedule, forward, sample, hand out."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineError,
    Overloaded,
    StepEngine,
)
from enginebay_core.engine.mailbox import Deliver, deliver
from enginebay_core.engine.probe import BROKEN, PROBE
from enginebay_core.engine.queue import QueueLimits
from enginebay_core.engine.scheduler import Plan, Scheduler, Steps
from enginebay_core.engine.sequence import Sequence

log = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0

LONGEST_BURST = 10
"""So many times the wait for company, and an idle engine begins with those who have come."""


class EngineLoop:
    """Starts its thread at once; ``close`` ends it and closes the engine on that same thread.

    ``broken`` says why it ended before that, in words for everyone; None while it did not.
    """

    def __init__(
        self,
        engine: StepEngine,
        name: str,
        queue: QueueLimits,
        deliver: Deliver = deliver,
        give_up: Callable[[str], None] = lambda why: None,
    ) -> None:
        """``give_up`` is told on the engine's thread, once, that the loop is ``broken``."""
        self.steps = 0
        self.broken: str | None = None
        self.scheduler = Scheduler(engine.spec)
        self._engine = engine
        self._name = name
        self._queue = queue
        self._deliver = deliver
        self._give_up = give_up
        self._open: set[Sequence] = set()  # all that have a reader, whatever else knows them
        self._inbox: deque[Callable[[], None]] = deque()
        self._arriving = 0  # sequences in the inbox
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"engine-{name}", daemon=True)
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """From any thread. Raises EngineClosed once ``close`` was called, EngineCrashed once the
        loop is broken, and Overloaded when the queue is full.
        """
        with self._wake:
            if self._closing:
                raise self._over(f"backend {self._name!r} is closed")
            self._refuse_when_full()
            self._arriving += 1
            self._open.add(sequence)
            self._inbox.append(partial(self._admit, sequence))
            self._wake.notify()

    def _admit(self, sequence: Sequence) -> None:
        self._arriving -= 1
        self.scheduler.add(sequence)

    def _refuse_when_full(self) -> None:
        """Submitted in this instant counts as waiting: whether it can start, the next step says."""
        waiting = self.scheduler.waiting + self._arriving
        if waiting >= self._queue.length + self.scheduler.free:
            raise Overloaded(f"{waiting} requests wait for backend {self._name!r} already")

    def cancel(self, sequence: Sequence) -> None:
        """From any thread: drop the sequence before the next step."""
        self.call(partial(self.drop, sequence))

    def drop(self, sequence: Sequence) -> None:
        """On the engine's thread."""
        self._open.discard(sequence)
        self.scheduler.drop(sequence)

    def call(self, work: Callable[[], None]) -> None:
        """From any thread: run ``work`` on the engine's, before the next step."""
        with self._wake:
            self._inbox.append(work)
            self._wake.notify()

    def close(self) -> None:
        """Returns when the engine is closed, or ``CLOSE_SECONDS`` later when it hangs in a step:
        a thread cannot be ended from outside, its readers can.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("backend %r hangs in step %d and cannot be closed", self._name, self.steps)
            self._end_all()

    def _run(self) -> None:
        try:
            while self._drain_inbox():
                self._expire()
                self._step()
        except BaseException:  # of our own too: nobody may wait for an engine without a thread
            log.exception("backend %r cannot go on after step %d", self._name, self.steps)
            self._break("what runs its steps failed; the server's log has the reason")
        finally:
            self._end()

    def _drain_inbox(self) -> bool:
        """Sleep while there is nothing to do; False when it is time to end."""
        with self._wake:
            if self.scheduler.idle:
                self._wake.wait_for(lambda: self._inbox or self._closing)
                self._gather()
            self._empty_inbox()
            return not self._closing

    def _empty_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _gather(self) -> None:
        """Requests of one burst come within milliseconds; begun one by one they would cost a step
        each.
        """
        wait = self.scheduler.pace.company
        deadline = time.monotonic() + LONGEST_BURST * wait
        while wait and not self._closing and time.monotonic() < deadline:
            if not self._wake.wait(wait):
                return

    def _step(self) -> None:
        plan = self.scheduler.plan()
        if plan is None:
            return
        steps = self._carry_out(plan)
        if steps is None:
            message = f"backend {self._name!r} failed on this request"
            failed = self.scheduler.fail(plan)
            self._end_sequences(failed, EngineError, f"{message}; the server's log has the reason")
            self._examine()
            return
        self._open.difference_update(sequence for sequence, _ in steps if sequence.finished)
        self._deliver((sequence.mailbox, step) for sequence, step in steps)

    def _carry_out(self, plan: Plan) -> Steps | None:
        """None when the engine failed."""
        self.steps += 1
        started = time.perf_counter()
        try:
            logits = self._engine.forward(plan.batch)
            plan.fill_masks()
            sampled = self._engine.sample(logits, plan.sample_rows) if plan.sampled else []
            return self.scheduler.commit(plan, sampled, time.perf_counter() - started)
        except BaseException:  # a plugin may raise anything, SystemExit too: its requests fail
            log.exception("backend %r failed in step %d", self._name, self.steps)
            return None

    def _examine(self) -> None:
        """After a failure: a request may be at fault for it, or the engine for all to come."""
        if self._carry_out(self.scheduler.plan_alone(Sequence(PROBE, None))) is None:
            self._break(BROKEN)

    def _expire(self) -> None:
        """Let those go who have waited for a slot for too long."""
        late = self.scheduler.expire(time.monotonic() - self._queue.seconds)
        message = f"no room within {self._queue.seconds:g} s: backend {self._name!r} is busy"
        self._end_sequences(late, Overloaded, message)

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
        with self._wake:
            self._closing = True
        self._end_all()
        if self.broken is not None:
            self._give_up(self.broken)  # before the engine's end, which may hang as well
        try:
            self._engine.close()
        except BaseException:  # closing goes on, whatever a plugin raises
            log.exception("backend %r failed to close", self._name)

    def _end_all(self) -> None:
        """Those too who came while a step hung, or whom the fault made the scheduler forget."""
        with self._wake:
            self._inbox.clear()
            ended = list(self._open)
        with suppress(Exception):  # it may be what is broken
            self.scheduler.drain()
        message = f"backend {self._name!r} was closed before this request was done"
        self._end_sequences(ended, self._over, message)

    def _end_sequences(
        self, sequences: Iterable[Sequence], error: Callable[[str], EngineBayError], message: str
    ) -> None:
        """Each reader gets an exception of its own: a shared one would grow its traceback."""
        letters = []
        for sequence in sequences:
            self._open.discard(sequence)
            sequence.finished = True
            letters.append((sequence.mailbox, error(message)))
        self._deliver(letters)
