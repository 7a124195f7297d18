"""A Generator whose engine is in another process."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from enginebay_core.api import EngineStats, GenerationRequest, GenerationStep, Limits
from enginebay_core.engine.check import check_request
from enginebay_core.engine.mailbox import Mailbox
from enginebay_core.grammar import GrammarCheck, GrammarLimits
from enginebay_core.placement.process.supervisor import Supervisor


class ProcessGenerator:
    """Owns the process from here on."""

    def __init__(self, supervisor: Supervisor, grammars: GrammarLimits) -> None:
        self.supervisor = supervisor
        self._check_grammar = GrammarCheck(grammars)

    @property
    def limits(self) -> Limits:
        return self.supervisor.limits

    @property
    def waiting(self) -> int:
        """Sequences without a slot; as last reported, for metrics and tests."""
        return self.supervisor.work.waiting

    @property
    def running(self) -> int:
        """Sequences under way, those included that the engine is yet to let go of."""
        return self.supervisor.work.running

    @property
    def steps(self) -> int:
        """Steps taken since the process began; as last reported."""
        return self.supervisor.work.steps

    @property
    def stats(self) -> EngineStats:
        return self.supervisor.stats

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        await check_request(request, self.limits, self._check_grammar)
        mailbox = Mailbox()
        number = self.supervisor.submit(request, mailbox)
        try:
            finish = None
            while finish is None:
                step = await mailbox.next()
                finish = step.finish
                yield step
        finally:
            self.supervisor.cancel(number)

    def close(self) -> None:
        """Blocks until the process is gone."""
        self.supervisor.close()
