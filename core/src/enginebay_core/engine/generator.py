"""A Generator made of a StepEngine."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from enginebay_core.api import GenerationRequest, GenerationStep, Limits, StepEngine
from enginebay_core.engine.check import check_request
from enginebay_core.engine.loop import EngineLoop
from enginebay_core.engine.mailbox import Mailbox
from enginebay_core.engine.queue import QueueLimits
from enginebay_core.engine.sequence import Sequence


class StepGenerator:
    """Owns the engine from here on. ``name`` is the backend's, for messages and logs."""

    def __init__(self, engine: StepEngine, name: str, queue: QueueLimits | None = None) -> None:
        spec = engine.spec
        self._limits = Limits(spec.vocab_size, spec.context_length, spec.facts)
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

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        check_request(request, self._limits)
        sequence = Sequence(request, Mailbox())
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
