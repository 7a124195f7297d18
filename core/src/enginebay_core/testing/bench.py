"""Where the checks run: one loaded backend, requests to it, and answers kept for comparison."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NoReturn, TypeVar

import pytest

from enginebay_core.api import (
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Generator,
    Limits,
    SamplingParams,
    Support,
    Tokenizer,
    TokenLogprob,
)
from enginebay_core.compare.side import greedy
from enginebay_core.engine import QueueLimits, StepGenerator
from enginebay_core.testing.direct import Direct
from enginebay_core.testing.expect import expect
from enginebay_core.testing.recorder import Recorder
from enginebay_core.testing.subject import Plan, open_subject
from enginebay_core.testing.traces import traces
from enginebay_core.text import spell_vocabulary

ResultT = TypeVar("ResultT")

OUTPUT_LENGTH: Final = 32
PROMPT_LENGTH: Final = 200
QUEUE_LENGTH: Final = 1024
SCHEDULES_ITSELF: Final = "it schedules by itself: there is no forward to drive"
ELSEWHERE: Final = "it runs in another process: there is no forward to drive"
CROWD: Final = 32
"""Requests that ``together`` has under way at once, at most."""


@dataclass(frozen=True)
class Answer:
    """All steps of one request, together. ``steps`` are the sizes, one per step."""

    ids: tuple[int, ...]
    finish: FinishReason | None
    logprobs: tuple[tuple[TokenLogprob, ...], ...]
    steps: tuple[int, ...]


class Bench:
    """Loaded when made. Every check starts with an idle engine and, over a step engine, with a
    scheduler of its own; ``rest`` ends the check, ``close`` ends it all. ``kept`` is for what is
    worked out once and used by several checks; ``before`` is what was in the process before it.
    """

    def __init__(self, plan: Plan, *, timeout: float) -> None:
        self.before = traces()
        self.plan = plan
        self.subject = open_subject(plan)
        self.notes: list[str] = []
        self.kept: dict[str, Any] = {}
        self.closed = self.spent = False
        self._timeout = timeout
        self._scheduler: StepGenerator | None = None
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._answers: dict[str, Answer] = {}

    @property
    def tokenizer(self) -> Tokenizer:
        return self.subject.tokenizer

    @property
    def engine(self) -> Recorder:
        if self.subject.engine is None:
            inline = self.plan.placement == "inline"
            self.skip(SCHEDULES_ITSELF if inline else ELSEWHERE)
        return self.subject.engine

    @property
    def direct(self) -> Direct:
        return Direct(self.engine)

    @property
    def generator(self) -> Generator:
        if self.subject.generator is not None:
            return self.subject.generator
        if self._scheduler is None:
            queue = QueueLimits(QUEUE_LENGTH, self._timeout)
            spell = partial(spell_vocabulary, self.tokenizer, self.engine.spec.vocab_size)
            self._scheduler = StepGenerator(self.engine, self.subject.name, queue, spell=spell)
        return self._scheduler

    @property
    def limits(self) -> Limits:
        return self.generator.limits

    def claims(self, field: str) -> bool:
        return self.subject.capabilities.of(field).support is not Support.REFUSED

    def skip(self, reason: str) -> NoReturn:
        pytest.skip(reason)

    def note(self, text: str) -> None:
        """Something that the report shall say although the check passes."""
        self.notes.append(text)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run on the bench's event loop; a request that never ends fails the check."""

        async def limited() -> ResultT:
            try:
                async with asyncio.timeout(self._timeout):
                    return await work
            except TimeoutError:
                raise AssertionError(
                    f"no answer within {self._timeout:g} s (`timeout` of the class): a request "
                    "hangs, or the engine is too slow for the kit"
                ) from None

        return self._runner.run(limited())

    async def answer(
        self, request: GenerationRequest, on_step: Callable[[], object] = lambda: None
    ) -> Answer:
        """Run one request to its end; ``on_step`` is called as steps come."""
        steps = []
        async with self.open(request) as coming:
            async for step in coming:
                steps.append(step)
                on_step()
        return collect(steps, request)

    def lone(self, request: GenerationRequest) -> Answer:
        """What the request gives when nothing else runs; asked once, then remembered."""
        key = repr(request)
        if key not in self._answers:
            self._answers[key] = self.run(self.answer(request))
        return self._answers[key]

    def ask_alone(self, requests: Sequence[GenerationRequest]) -> None:
        """Have their lone answers before something that may spoil them."""
        for request in requests:
            self.lone(request)

    def together(self, requests: Sequence[GenerationRequest]) -> list[Answer]:
        """Start all at once, or in crowds where they are very many."""

        async def gather(crowd: Sequence[GenerationRequest]) -> list[Answer]:
            return list(await asyncio.gather(*(self.answer(request) for request in crowd)))

        crowds = (requests[start : start + CROWD] for start in range(0, len(requests), CROWD))
        return [answer for crowd in crowds for answer in self.run(gather(crowd))]

    async def outcomes(self, requests: Sequence[GenerationRequest]) -> list[Answer | BaseException]:
        """Answers, or what was raised instead; all start at once."""
        started = [self.answer(request) for request in requests]
        return list(await asyncio.gather(*started, return_exceptions=True))

    @asynccontextmanager
    async def open(
        self, request: GenerationRequest
    ) -> AsyncIterator[AsyncGenerator[GenerationStep, None]]:
        """The steps of one request; leaving the block leaves the request."""
        steps = self.generator.generate(request)
        try:
            yield steps
        finally:
            await steps.aclose()

    def greedy(self, **fields: Any) -> SamplingParams:
        """The most likely id each time, by the simplest field that the backend claims."""
        return greedy(self.subject.capabilities, **fields)

    def ask(
        self, prompt: Sequence[int], max_tokens: int = OUTPUT_LENGTH, **fields: Any
    ) -> GenerationRequest:
        """A greedy request, unless ``sampling`` says otherwise; it runs past the model's own stop
        ids unless ``stop_ids`` names some.
        """
        given = {"sampling": self.greedy(), **fields}
        room = self.limits.context_length - len(prompt)
        return GenerationRequest(tuple(prompt), min(max_tokens, room), **given)

    def tasks(self) -> list[str]:
        """Tasks left on the event loop, while nothing runs there."""
        return sorted(repr(task.get_coro()) for task in asyncio.all_tasks(self._runner.get_loop()))

    def stop(self) -> None:
        """Close what generates, requests or not. A Generator that came so is spent."""
        self.spent = self.subject.engine is None
        self.generator.close()

    def reopened(self) -> Bench:
        """The same backend, loaded anew."""
        return Bench(self.plan, timeout=self._timeout)

    def rest(self) -> None:
        """The check is over: end its scheduler, so that the next one finds an idle engine."""
        if self._scheduler is not None:
            self._scheduler.close()
            self._scheduler = None
        if self.subject.engine is not None:
            self.subject.engine.restart()

    def close(self) -> None:
        """Safe to repeat."""
        if not self.closed:
            self.closed = True
            self.rest()
            self.subject.close()
            self._runner.close()


def collect(steps: Sequence[GenerationStep], request: GenerationRequest) -> Answer:
    """Join steps, and hold them to what GenerationStep promises."""
    expect(bool(steps), "the iterator ended without a single step; the last has `finish`")
    expect(steps[-1].finish is not None, "the last step has no `finish`")
    early = [step.finish for step in steps[:-1] if step.finish is not None]
    expect(not early, f"steps follow the one with finish={early!r}")
    empty = [index for index, step in enumerate(steps[:-1]) if not step.ids]
    expect(not empty, f"steps {empty!r} have no ids; only the last step may be empty")
    ids = tuple(token for step in steps for token in step.ids)
    logprobs = tuple(entry for step in steps for entry in step.logprobs)
    asked = request.sampling.logprobs is not None
    count = len(ids) if asked else 0
    expect(len(logprobs) == count, f"{len(logprobs)} logprobs came for {count} ids that have any")
    return Answer(ids, steps[-1].finish, logprobs, tuple(len(step.ids) for step in steps))


def seeded(request: GenerationRequest, seed: int, **fields: Any) -> GenerationRequest:
    """The same request, sampled."""
    return replace(request, sampling=SamplingParams(seed=seed, **fields))
