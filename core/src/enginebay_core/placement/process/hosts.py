"""Runs requests in the child, on an engine of either kind, and reports what each step brings."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Final, Protocol, TypeVar

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineError,
    EngineStats,
    GenerationRequest,
    GenerationStep,
    Generator,
    Overloaded,
    StepCounter,
    StepEngine,
)
from enginebay_core.engine import QueueLimits
from enginebay_core.engine.check import stats_of
from enginebay_core.engine.loop import EngineLoop
from enginebay_core.engine.mailbox import Letter
from enginebay_core.engine.probe import BROKEN, PROBE
from enginebay_core.engine.sequence import Sequence
from enginebay_core.grammar import GrammarCompiler, GrammarLimits, Matcher, Outcome, Vocabulary
from enginebay_core.placement.process import wire

NotedT = TypeVar("NotedT")

Report = Callable[[wire.Report], object]

OURS: Final = 0
"""The number of a request that no server sent; theirs begin at 1."""

log = logging.getLogger(__name__)


def send_or_end(report: Report, message: wire.Report, name: str) -> None:
    """What cannot be sent ends this process: somebody waits for it, who would wait for ever."""
    try:
        report(message)
    except Exception:
        log.exception("what backend %r made cannot be sent", name)
        os._exit(1)


def give_up(report: Report, name: str, why: str) -> None:
    """The engine is of no more use: the server ends this process, and starts another."""
    send_or_end(report, wire.Failed(wire.fault_of(EngineCrashed(why))), name)


class Host(Protocol):
    """Called from the one thread that reads commands."""

    def start(self, number: int, request: GenerationRequest) -> None: ...

    def cancel(self, number: int) -> None:
        """Reports ``number`` as gone when its room is free."""
        ...

    def learn(self, vocabulary: Vocabulary) -> None:
        """What the host has asked for by a report."""
        ...

    def work(self) -> wire.Work: ...

    def stats(self) -> EngineStats: ...

    def close(self) -> None: ...


class StepHost:
    """Core's scheduler over a StepEngine. The engine's own thread writes the reports, so that a
    step costs one message and no switch of threads.
    """

    def __init__(
        self,
        engine: StepEngine,
        name: str,
        queue: QueueLimits,
        report: Report,
        grammars: GrammarLimits,
    ) -> None:
        self._sequences: dict[int, Sequence] = {}
        self._matching: set[int] = set()
        self._lock = threading.Lock()
        self._ended_steps = 0
        self._name = name
        self._report = report
        self._compiler = GrammarCompiler(self._ask_spelling, grammars)
        self._loop = EngineLoop(engine, name, queue, self._deliver, partial(give_up, report, name))

    def start(self, number: int, request: GenerationRequest) -> None:
        if request.grammar is None:
            self._begin(number, request, None)
            return
        self._matching.add(number)
        self._compiler.open(request, partial(self._matched, number, request))

    def cancel(self, number: int) -> None:
        with self._lock:
            self._matching.discard(number)
            sequence = self._sequences.pop(number, None)
        self._loop.call(partial(self._drop, number, sequence))

    def learn(self, vocabulary: Vocabulary) -> None:
        self._compiler.learn(vocabulary)

    def work(self) -> wire.Work:
        scheduler = self._loop.scheduler
        return wire.Work(self._ended_steps, scheduler.running, scheduler.waiting)

    def stats(self) -> EngineStats:
        return self._loop.scheduler.stats

    def close(self) -> None:
        self._loop.close()
        self._compiler.close()

    def _ask_spelling(self) -> None:
        self._report(wire.AskSpelling())

    def _matched(self, number: int, request: GenerationRequest, outcome: Outcome) -> None:
        """On a thread of the compiler: the request may have been cancelled meanwhile."""
        with self._lock:
            if number not in self._matching:
                return
            self._matching.discard(number)
            if isinstance(outcome, Matcher):
                self._begin(number, request, outcome)
                return
        self._refuse(number, outcome)

    def _begin(self, number: int, request: GenerationRequest, matcher: Matcher | None) -> None:
        sequence = self._sequences[number] = Sequence(request, number, matcher)
        try:
            self._loop.submit(sequence)
        except EngineBayError as error:
            del self._sequences[number]
            self._refuse(number, error)

    def _refuse(self, number: int, error: EngineBayError) -> None:
        self._report(wire.Batch(self.work(), [], [(number, wire.fault_of(error))]))

    def _drop(self, number: int, sequence: Sequence | None) -> None:
        if sequence is not None:
            self._loop.drop(sequence)
        self._report(wire.Batch(self.work(), [], gone=[number]))

    def _deliver(self, letters: Iterable[tuple[int, Letter]]) -> None:
        self._ended_steps = self._loop.steps
        steps: list[tuple[int, GenerationStep]] = []
        ended: list[tuple[int, wire.Fault]] = []
        for number, letter in letters:
            if isinstance(letter, EngineBayError):
                ended.append((number, wire.fault_of(letter)))
                self._sequences.pop(number, None)
                continue
            assert isinstance(letter, GenerationStep), "a step engine makes nothing else"
            steps.append((number, letter))
            if letter.finish is not None:
                self._sequences.pop(number, None)
        send_or_end(self._report, wire.Batch(self.work(), steps, ended), self._name)


class GeneratorHost:
    """An engine with a scheduler of its own, on an event loop of its own. What its iterators
    bring in one turn of that loop is one report, and one step unless the engine counts its own.
    When it fails on a request, and then on one of ours, the host gives up.
    """

    def __init__(self, generator: Generator, name: str, report: Report) -> None:
        self._generator = generator
        self._name = name
        self._report = report
        self._steps = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._told: list[tuple[int, GenerationStep]] = []
        self._ended: list[tuple[int, wire.Fault]] = []
        self._gone: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"generator-{name}", daemon=True)
        self._thread.start()

    def start(self, number: int, request: GenerationRequest) -> None:
        self._loop.call_soon_threadsafe(self._begin, number, request)

    def cancel(self, number: int) -> None:
        self._loop.call_soon_threadsafe(self._stop, number)

    def learn(self, vocabulary: Vocabulary) -> None:
        """Never asked for: the engine makes its masks itself."""

    def work(self) -> wire.Work:
        own = self._generator.steps if isinstance(self._generator, StepCounter) else self._steps
        return wire.Work(own, len(self._tasks), 0)

    def stats(self) -> EngineStats:
        return stats_of(self._generator)

    def close(self) -> None:
        self._generator.close()
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(asyncio.gather(*self._tasks.values(), return_exceptions=True))
        self._loop.close()

    def _end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._loop.stop()

    def _begin(self, number: int, request: GenerationRequest) -> None:
        task = self._tasks[number] = self._loop.create_task(self._pump(number, request))
        task.add_done_callback(partial(self._let_go, number))

    def _stop(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is None:
            self._note(self._gone, number)
        else:
            self._cancelled.add(number)
            task.cancel()

    def _let_go(self, number: int, _: asyncio.Task[None]) -> None:
        """However it ended: what is cancelled before its first turn never runs at all."""
        del self._tasks[number]
        if number in self._cancelled:
            self._cancelled.remove(number)
            self._note(self._gone, number)

    async def _pump(self, number: int, request: GenerationRequest) -> None:
        try:
            async with aclosing(self._generator.generate(request)) as steps:
                async for step in steps:
                    self._note(self._told, (number, step))
        except asyncio.CancelledError:
            return  # who cancelled is told once the task is done
        except EngineBayError as error:
            self._note(self._ended, (number, wire.fault_of(error)))
            self._examine(number, error)
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            log.exception("backend %r failed", self._name)
            self._note(self._ended, (number, self._failed()))
            self._examine(number, error)

    def _examine(self, number: int, error: BaseException) -> None:
        """After a failure that was not in leaving: a request may be at fault for it, or the engine
        for all to come.
        """
        if _at_fault(error) and OURS not in self._tasks and number not in self._cancelled:
            task = self._tasks[OURS] = self._loop.create_task(self._probe())
            task.add_done_callback(partial(self._let_go, OURS))

    async def _probe(self) -> None:
        try:
            async with aclosing(self._generator.generate(PROBE)) as steps:
                async for _ in steps:
                    self._steps += 1
        except asyncio.CancelledError:
            return
        except BaseException as error:
            if _at_fault(error):
                log.exception("backend %r is broken", self._name)
                give_up(self._report, self._name, BROKEN)

    def _note(self, where: list[NotedT], what: NotedT) -> None:
        if not (self._told or self._ended or self._gone):
            self._loop.call_soon(self._flush)
        where.append(what)

    def _flush(self) -> None:
        self._steps += bool(self._told)
        batch = wire.Batch(self.work(), self._told, self._ended, self._gone)
        self._told, self._ended, self._gone = [], [], []
        send_or_end(self._report, batch, self._name)

    def _failed(self) -> wire.Fault:
        return wire.fault_of(
            EngineError(
                f"backend {self._name!r} failed on this request; the server's log has the reason"
            )
        )


def _at_fault(error: BaseException) -> bool:
    """Whether it speaks of an engine that failed: a refusal, or no room, does not."""
    if isinstance(error, EngineBayError):
        return isinstance(error, EngineError) and not isinstance(error, Overloaded | EngineClosed)
    return True
