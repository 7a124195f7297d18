"""One of the two models, open: takes questions, one at a time, and always its likeliest id."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from enginebay_core.api import (
    Capabilities,
    ConfigError,
    ContextLengthExceeded,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    RequestError,
    SamplingParams,
    Support,
)
from enginebay_core.compare.answer import END, Answer, Told
from enginebay_core.placement import RunningModel

TOP: Final = 20
"""As many of the likeliest as OpenAI lets a client ask for."""
LOWEST: Final = -9999.0
"""For ids that cannot be, and for NaN, which no comparison would find."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How one answer came: seconds to its first id, and ids per second of the whole. After the
    first they may come in a heap, where the reader had to wait for a core.
    """

    first: float
    rate: float


class Side:
    def __init__(self, model: RunningModel, max_tokens: int) -> None:
        """Raises ConfigError for a model that makes no text."""
        if model.embeddings is not None:
            raise ConfigError(f"model {model.name!r} makes vectors and no text to compare")
        self.model = model
        self._max_tokens = max_tokens
        self._top = top_count(model)
        ignores = model.capabilities.of("ignore_eos").support is not Support.REFUSED
        self._endless = frozenset[int]() if ignores else model.stop_ids

    @property
    def silence(self) -> str | None:
        """Why it tells no log probabilities; None where it does."""
        if self._top is not None:
            return None
        refused = self.model.capabilities.of("logprobs")
        return refused.reason or f"backend {self.model.backend!r} tells no log probabilities"

    async def answer(self, prompt: tuple[int, ...], salt: str) -> Answer:
        """Raises RequestError for a prompt that it cannot take."""
        request = self._request(prompt, self._max_tokens, self.model.stop_ids, salt)
        steps = await self._run(request)
        told = tuple(tell(steps))
        finish = steps[-1].finish or FinishReason.LENGTH
        if finish is FinishReason.STOP:
            told += (await self._end(prompt + tuple(one.id for one in told), salt),)
        return Answer(prompt, tuple(id for step in steps for id in step.ids), finish, told)

    async def follow(self, ids: tuple[int, ...], salt: str) -> Told | None:
        """What it would say after ``ids``, whatever it said itself. None where it cannot take
        them.
        """
        try:
            steps = await self._run(self._request(ids, 1, self._endless, salt))
        except RequestError:
            return None
        return next(tell(steps), Told(END))

    async def pace(self, prompt: tuple[int, ...], salt: str) -> Pace:
        """Of an answer of full length, without log probabilities, which cost some engines time."""
        request = self._request(prompt, self._max_tokens, self._endless, salt, silent=True)
        start = time.perf_counter()
        first, count = 0.0, 0
        async with aclosing(self.model.generator.generate(request)) as steps:
            async for step in steps:
                first = first or time.perf_counter() - start
                count += len(step.ids)
        return Pace(first, count / (time.perf_counter() - start))

    async def _end(self, ids: tuple[int, ...], salt: str) -> Told:
        """The place where it stopped: nothing is told of a stop id, so it is asked once more, with
        nothing to stop at.
        """
        told = await self.follow(ids, salt) or Told(END)
        known = [token for token in told.logprobs if token in self.model.stop_ids]
        likeliest = max(known, key=lambda token: told.logprobs[token], default=END)
        return told if told.id in self.model.stop_ids else Told(likeliest, told.logprobs)

    def _request(
        self,
        prompt: tuple[int, ...],
        wanted: int,
        stop_ids: frozenset[int],
        salt: str,
        *,
        silent: bool = False,
    ) -> GenerationRequest:
        limit = self.model.generator.limits.context_length
        if len(prompt) >= limit:
            raise ContextLengthExceeded(
                f"its context is {limit} tokens, and the prompt has {len(prompt)}"
            )
        sampling = greedy(self.model.capabilities, logprobs=None if silent else self._top)
        room = limit - len(prompt)
        return GenerationRequest(prompt, min(wanted, room), sampling, stop_ids, cache_salt=salt)

    async def _run(self, request: GenerationRequest) -> list[GenerationStep]:
        async with aclosing(self.model.generator.generate(request)) as steps:
            return [step async for step in steps]


def tell(steps: list[GenerationStep]) -> Iterator[Told]:
    for step in steps:
        for place, token in enumerate(step.ids):
            entry = step.logprobs[place] if step.logprobs else ()
            yield Told(token, {one.id: finite(one.logprob) for one in entry})


def finite(logprob: float) -> float:
    return float(logprob) if logprob > LOWEST else LOWEST


def greedy(capabilities: Capabilities, **fields: Any) -> SamplingParams:
    """The most likely id each time, by the simplest field that is claimed."""
    if capabilities.of("temperature").support is not Support.REFUSED:
        return SamplingParams(temperature=0.0, **fields)
    if capabilities.of("top_k").support is not Support.REFUSED:
        return SamplingParams(top_k=1, **fields)
    return SamplingParams(**fields)


def top_count(model: RunningModel) -> int | None:
    """How many of the likeliest ids it tells; None: not even the log probability of its own."""
    if model.capabilities.of("logprobs").support is Support.REFUSED:
        return None
    told = model.capabilities.of("top_logprobs")
    if told.support is Support.REFUSED:
        return 0
    limit = TOP if told.maximum is None else int(told.maximum)
    return min(TOP, limit, model.generator.limits.vocab_size)
