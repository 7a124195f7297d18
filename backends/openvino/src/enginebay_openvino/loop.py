"""The one thread that owns the pipeline: take what has come, step, hand out."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import openvino as ov
import openvino_genai as genai

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineError,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Overloaded,
    TokenLogprob,
)
from enginebay_openvino.compiler import Compiler
from enginebay_openvino.grammar import states_of
from enginebay_openvino.mailbox import Letter, Mailbox, deliver, give_way

CLOSE_SECONDS: Final = 10.0
MOST_STATES: Final = 2048
"""Of all grammars of one pipeline, which keeps them; a quarter of a megabyte each with 150,000 ids.
"""
MOST_WAITING: Final = 16
"""Different grammars on their way at once; one more is refused as Overloaded."""
NONE: Final = ""
"""The grammar of a request that is kept to none."""
FAILED: Final = "backend 'openvino' failed on this request; the server's log has the reason"
CLOSED: Final = "backend 'openvino' was closed before this request was done"

Make: TypeAlias = Callable[[], tuple[Any, Compiler | None]]
"""A pipeline, and what compiles grammars for it, if it can keep to any."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """One request; ``handle`` is the pipeline's, there once it was added. ``grammar`` is the text
    of the one that the request is kept to, if any. ``begun``: it has made an id.
    """

    number: int
    request: GenerationRequest
    config: Any
    mailbox: Mailbox
    grammar: str
    handle: Any = field(default=None)
    begun: bool = field(default=False)


class PipelineLoop:
    """Starts its thread at once. The pipeline is touched by that thread alone. ``kv_used`` is the
    share of its KV memory that the last step left taken.

    Requests whose grammar has to be compiled wait for that, and others go on. A pipeline whose
    grammars have ``MOST_STATES`` states gives way to a new one, once those that run have ended.
    """

    def __init__(self, make: Make) -> None:
        """``make`` is called here first, and from the thread later; here its errors are raised."""
        self.steps = 0
        self.kv_used = 0.0
        self._make = make
        self._pipeline: Any = None
        self._open()
        self._compiling = False
        self._settling = False
        self._waiting: deque[Ticket] = deque()
        self._numbers = itertools.count()
        self._running: dict[int, Ticket] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="openvino", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        """Requests that the pipeline has; an instant's value."""
        return len(self._running)

    def submit(
        self, request: GenerationRequest, config: Any, mailbox: Mailbox, grammar: str = NONE
    ) -> Ticket:
        """From any thread. Raises EngineClosed once ``close`` was called."""
        ticket = Ticket(next(self._numbers), request, config, mailbox, grammar)
        with self._wake:
            if self._closing:
                raise EngineClosed(CLOSED)
            self._inbox.append(partial(self._add, ticket))
            self._wake.notify()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """From any thread: the pipeline lets go of it before the next step."""
        with self._wake:
            self._inbox.append(partial(self._drop, ticket))
            self._wake.notify()

    def close(self) -> None:
        """Returns when the pipeline is gone, or later when it hangs in a step."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("openvino hangs in step %d and cannot be closed", self.steps + 1)
            self._end_all(EngineClosed, CLOSED)

    def _run(self) -> None:
        while self._drain_inbox():
            try:
                self._admit()
            except BaseException:  # whatever C++ raises: nobody who waits can begin
                log.exception("openvino has no pipeline")
                self._end_waiting(EngineError, FAILED)
            try:
                self._step()
            except BaseException:  # what was running fails, and takes its pipeline along
                log.exception("openvino failed in step %d", self.steps + 1)
                self._end_running(EngineError, FAILED)
                self._forget()
        self._end_all(EngineClosed, CLOSED)
        self._let_go()

    def _drain_inbox(self) -> bool:
        """Sleep while there is nothing to do; False when it is time to end."""
        with self._wake:
            if not self._running and (self._compiling or not self._waiting):
                self._wake.wait_for(lambda: self._inbox or self._closing)
            while self._inbox:
                self._inbox.popleft()()
            return not self._closing

    def _add(self, ticket: Ticket) -> None:
        if ticket.grammar == NONE and not self._full:
            self._begin(ticket)
        elif len({one.grammar for one in self._waiting} - self._grammars) >= MOST_WAITING:
            message = f"{MOST_WAITING} grammars are waiting to be compiled; try again later"
            deliver([(ticket.mailbox, Overloaded(message))])
        else:
            self._waiting.append(ticket)

    def _admit(self) -> None:
        """Whoever waits and may begin. The library has one lock, which a request needs until its
        first id and compiling holds all along: neither begins while the other goes on.
        """
        if self._compiling:
            return
        while self._waiting and self._waiting[0].grammar in self._grammars:
            self._begin(self._waiting.popleft())
        asking = any(one.grammar and not one.begun for one in self._running.values())
        if not self._waiting or asking or self._settling:
            return
        if self._full:
            if self._running:
                return
            self._renew()
        self._compile(self._waiting[0].grammar)

    @property
    def _full(self) -> bool:
        """Whether somebody waits for a grammar that this pipeline takes no more."""
        return (
            self._states >= MOST_STATES
            and bool(self._waiting)
            and self._waiting[0].grammar not in self._grammars
        )

    def _compile(self, grammar: str) -> None:
        self._open()
        assert self._compiler is not None, "not claimed"
        self._compiler.begin(grammar, partial(self._send_compiled, self._compiler, grammar))
        self._compiling = True

    def _send_compiled(self, compiler: Compiler, grammar: str, good: bool) -> None:
        with self._wake:
            self._inbox.append(partial(self._compiled, compiler, grammar, good))
            self._wake.notify()

    def _compiled(self, compiler: Compiler, grammar: str, good: bool) -> None:
        if compiler is not self._compiler:
            return  # its pipeline is gone, and knew the grammar alone
        self._compiling = False
        if good:
            self._grammars.add(grammar)
            self._states += states_of(grammar)
            return
        failed = [ticket for ticket in self._waiting if ticket.grammar == grammar]
        self._waiting = deque(one for one in self._waiting if one.grammar != grammar)
        deliver([(ticket.mailbox, EngineError(FAILED)) for ticket in failed])

    def _renew(self) -> None:
        """Another pipeline, which knows no grammar. Who needs none has waited long enough."""
        self._let_go()
        self._open()
        free = [ticket for ticket in self._waiting if ticket.grammar == NONE]
        self._waiting = deque(one for one in self._waiting if one.grammar != NONE)
        for ticket in free:
            self._begin(ticket)

    def _open(self) -> None:
        """A pipeline, unless one is there. Where none could be made, whoever comes next tries."""
        if self._pipeline is not None:
            return
        self._pipeline, self._compiler = self._make()
        self._grammars, self._states = {NONE}, 0.0

    def _begin(self, ticket: Ticket) -> None:
        ids = ov.Tensor(np.array([ticket.request.prompt], np.int64))
        try:
            self._open()
            ticket.handle = self._pipeline.add_request(ticket.number, ids, ticket.config)
        except Exception:
            log.exception("openvino did not take a request")
            deliver([(ticket.mailbox, EngineError(FAILED))])
        else:
            self._running[ticket.number] = ticket

    def _drop(self, ticket: Ticket) -> None:
        """Nothing happens where it has ended already. The pipeline may still look at it once."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if self._running.pop(ticket.number, None) is not None:
            _cancel(ticket)
            self._settling = True

    def _step(self) -> None:
        """openvino-genai holds Python's lock for the whole of a step: what no other thread does
        before the next one, it does a step later.
        """
        if self._pipeline is None:
            return
        loops = {ticket.mailbox.loop for ticket in self._running.values()}
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        self._settling = False
        self.steps += 1
        self.kv_used = self._pipeline.get_metrics().cache_usage / 100
        deliver(list(self._collect()))
        give_way(loops)

    def _let_go(self) -> None:
        """What was cancelled gives its blocks back in the next step; the pipeline logs an error
        for each that it still has at its end.
        """
        with suppress(Exception):
            if self._pipeline is not None and self._pipeline.has_non_finished_requests():
                self._pipeline.step()
        self._forget()

    def _forget(self) -> None:
        """The pipeline is asked for nothing more: one that is broken may hang in its next step."""
        if self._compiler is not None:
            self._compiler.close()
        self._pipeline = self._compiler = None
        self._compiling = self._settling = False

    def _collect(self) -> Iterator[tuple[Mailbox, Letter]]:
        for ticket in list(self._running.values()):
            step = read(ticket)
            if step is not None:
                ticket.begun = True
                yield ticket.mailbox, step
            if step is not None and step.finish is not None:
                del self._running[ticket.number]
            elif ticket.handle.get_status() == genai.GenerationStatus.IGNORED:
                del self._running[ticket.number]
                yield ticket.mailbox, EngineError(FAILED)

    def _end_all(self, error: Callable[[str], EngineBayError], message: str) -> None:
        self._end_running(error, message)
        self._end_waiting(error, message)

    def _end_running(self, error: Callable[[str], EngineBayError], message: str) -> None:
        """Each reader gets an exception of its own: a shared one would grow its traceback."""
        running, self._running = list(self._running.values()), {}
        for ticket in running:
            _cancel(ticket)
        deliver([(ticket.mailbox, error(message)) for ticket in running])

    def _end_waiting(self, error: Callable[[str], EngineBayError], message: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        deliver([(ticket.mailbox, error(message)) for ticket in waiting])


def read(ticket: Ticket) -> GenerationStep | None:
    """What the pipeline has made of it since the last time; None when that is nothing."""
    if not ticket.handle.can_read():
        return None
    (output,) = ticket.handle.read().values()
    ids, logprobs = list(output.generated_ids), list(output.generated_log_probs)
    finish = finish_of(output)
    if finish is FinishReason.STOP and ids and ids[-1] in ticket.request.stop_ids:
        del ids[-1]
    told: tuple[tuple[TokenLogprob, ...], ...] = ()
    if ticket.request.sampling.logprobs is not None:
        told = tuple((TokenLogprob(*pair),) for pair in zip(ids, logprobs, strict=False))
    return GenerationStep(tuple(ids), finish, told)


def finish_of(output: Any) -> FinishReason | None:
    reasons = {
        genai.GenerationFinishReason.STOP: FinishReason.STOP,
        genai.GenerationFinishReason.LENGTH: FinishReason.LENGTH,
    }
    return reasons.get(output.finish_reason)


def _cancel(ticket: Ticket) -> None:
    """A pipeline that is broken may refuse even that, and has nothing more to do with it then."""
    with suppress(Exception):
        ticket.handle.cancel()
