"""One choice of an answer: the engine's steps to what a client may see of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from enginebay_core.api import GenerationRequest, GenerationStep, Generator
from enginebay_server.logprobs import Ledger, Told
from enginebay_server.metrics import TokenClock
from enginebay_server.parsers import CallPart, PartsReader, joined


@dataclass(frozen=True, slots=True)
class Delta:
    """The next bit of choice ``index``; ``finish`` is set in its last one only. ``logprobs`` are
    of the ids that make ``content``, None where nobody asked.
    """

    index: int
    content: str
    reasoning: str = ""
    finish: str | None = None
    logprobs: tuple[Told, ...] | None = None
    calls: tuple[CallPart, ...] = ()


class Choice:
    """``completion_tokens`` counts the ids that made the answer: no stop id, nothing past a stop
    string, and exact once the deltas have ended; ``reasoning_tokens`` those of its thinking, tags
    included. ``cached_tokens`` counts the prompt's ids that
    the engine did not have to compute. ``clock`` takes down when tokens come. ``ledger`` is there
    where logprobs were asked for.
    """

    def __init__(
        self,
        index: int,
        generator: Generator,
        request: GenerationRequest,
        reader: PartsReader,
        ledger: Ledger | None = None,
    ) -> None:
        self.index = index
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.cached_tokens = 0
        self.finish: str | None = None
        self.clock = TokenClock()
        self._generator = generator
        self._request = request
        self._reader = reader
        self._ledger = ledger
        self._called = False

    @property
    def leads(self) -> bool:
        """Whether it is the first of its prompt's choices."""
        return self._request.choice == 0

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """The answer, bit by bit; closing it, or finding a stop string, stops the engine."""
        tick = self.clock.tick
        async with aclosing(self._generator.generate(self._request)) as steps:
            try:
                async for step in steps:
                    if step.ids:
                        tick(len(step.ids))
                    delta = self._read(step)
                    if delta is not None:
                        yield delta
                        if delta.finish:
                            self.finish = delta.finish
                            return
            finally:
                self.clock.count()

    def _read(self, step: GenerationStep) -> Delta | None:
        self.cached_tokens += step.cached_tokens
        part = self._reader.push(step.ids)
        finish = "stop" if part.stopped else None
        if finish is None and step.finish is not None:
            part = joined(part, self._reader.flush())
            finish = "stop" if part.stopped else step.finish.value
        self._called = self._called or bool(part.calls)
        if finish == "stop" and self._called:
            finish = "tool_calls"
        self.completion_tokens += part.settled
        self.reasoning_tokens += part.thinking
        logprobs = None
        if self._ledger is not None:
            self._ledger.add(step.logprobs, part)
            logprobs = self._ledger.take() if part.content or finish else ()
        if part.content or part.reasoning or part.calls or finish:
            return Delta(self.index, part.content, part.reasoning, finish, logprobs, part.calls)
        return None
