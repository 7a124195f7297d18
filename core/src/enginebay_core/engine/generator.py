"""A Generator made of a StepEngine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from enginebay_core.api import (
    EngineBayError,
    EngineStats,
    GenerationRequest,
    GenerationStep,
    Limits,
    StepEngine,
    UnsupportedField,
)
from enginebay_core.engine.check import check_request
from enginebay_core.engine.loop import EngineLoop
from enginebay_core.engine.mailbox import Mailbox
from enginebay_core.engine.queue import QueueLimits
from enginebay_core.engine.sequence import Sequence
from enginebay_core.grammar import (
    GrammarCheck,
    GrammarCompiler,
    GrammarLimits,
    Matcher,
    Outcome,
    Vocabulary,
)


class StepGenerator:
    """Owns the engine from here on. ``name`` is the backend's, for messages and logs. ``spell``
    makes the vocabulary that grammars need; it is called once, on a thread, when one is asked for.
    """

    def __init__(
        self,
        engine: StepEngine,
        name: str,
        queue: QueueLimits | None = None,
        *,
        spell: Callable[[], Vocabulary] | None = None,
        grammars: GrammarLimits | None = None,
    ) -> None:
        spec = engine.spec
        limits = grammars or GrammarLimits()
        self._limits = Limits(spec.vocab_size, spec.context_length, spec.facts, spec.max_sequences)
        self._check_grammar = GrammarCheck(limits)
        self._compiler = GrammarCompiler(spell, limits) if spell else None
        self._loop = EngineLoop(engine, name, queue or QueueLimits())

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def waiting(self) -> int:
        """Sequences without a slot; an instant's value, for metrics and tests."""
        return self._loop.scheduler.waiting

    @property
    def running(self) -> int:
        """Sequences that hold a slot; an instant's value, for metrics and tests."""
        return self._loop.scheduler.running

    @property
    def steps(self) -> int:
        """Steps taken since the start: while work is there, it grows or the engine hangs."""
        return self._loop.steps

    @property
    def stats(self) -> EngineStats:
        return self._loop.scheduler.stats

    @property
    def broken(self) -> str | None:
        """Why it can run nothing any more, in words for everyone; None while it can."""
        return self._loop.broken

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        await check_request(request, self._limits, self._check_grammar)
        matcher = None if request.grammar is None else await self._match(request)
        sequence = Sequence(request, Mailbox(), matcher)
        self._loop.submit(sequence)
        try:
            finish = None
            while finish is None:
                step = await sequence.mailbox.next()
                finish = step.finish
                yield step
        finally:
            if not sequence.finished:
                self._loop.cancel(sequence)

    def close(self) -> None:
        """Blocks until the step in flight is done."""
        self._loop.close()
        if self._compiler is not None:
            self._compiler.close()

    async def _match(self, request: GenerationRequest) -> Matcher:
        """Raises RequestError where the request's grammar cannot be compiled."""
        if self._compiler is None:
            raise UnsupportedField("there is no vocabulary here to make grammars of")
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            if not opened.done():  # the reader may have left
                opened.set_result(outcome)

        def done(outcome: Outcome) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, outcome)

        self._compiler.open(request, done)
        outcome = await opened
        if isinstance(outcome, EngineBayError):
            raise outcome
        return outcome
