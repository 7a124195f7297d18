"""One sequence on its way through the engine."""

from __future__ import annotations

import secrets
from dataclasses import replace

from enginebay_core.api import (
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Sampled,
    SamplerMemory,
    SampleRow,
    StepRow,
    TokenLogprob,
)
from enginebay_core.engine.mailbox import Mailbox


class Sequence:
    """Mutable, and touched by the engine's thread alone once submitted.

    ``computed`` counts the ids whose KV lies in ``slot``; ``slot`` is None while waiting.
    """

    __slots__ = ("computed", "finished", "mailbox", "memory", "output", "params", "request", "slot")

    def __init__(self, request: GenerationRequest, mailbox: Mailbox) -> None:
        self.request = request
        self.mailbox = mailbox
        self.params = request.sampling
        if self.params.seed is None:
            self.params = replace(self.params, seed=secrets.randbits(63))
        self.output: list[int] = []
        self.memory = SamplerMemory()
        self.slot: int | None = None
        self.computed = 0
        self.finished = False

    @property
    def remaining(self) -> int:
        """Ids that are known but not yet in the KV: 1 when decoding, more in prefill."""
        return len(self.request.prompt) + len(self.output) - self.computed

    @property
    def decoding(self) -> bool:
        return self.remaining == 1 and bool(self.output)

    def row(self, count: int) -> StepRow:
        """Run the next ``count`` ids; logits only when they reach the end."""
        assert self.slot is not None
        ids = self._ids(self.computed, count)
        return StepRow(self.slot, self.computed, ids, "last" if count == self.remaining else "none")

    def sample_row(self, index: int) -> SampleRow:
        early = len(self.output) < self.request.min_tokens
        return SampleRow(
            index=index,
            params=self.params,
            prompt=self.request.prompt,
            output=self.output,
            choice=self.request.choice,
            banned=self.request.stop_ids if early else frozenset(),
            memory=self.memory,
        )

    def take(self, sampled: Sampled) -> GenerationStep:
        """Append what was sampled, and say what the reader is to see of it."""
        if sampled.id in self.request.stop_ids:
            self.finished = True
            return GenerationStep((), FinishReason.STOP)
        self.output.append(sampled.id)
        self.finished = len(self.output) >= self.request.max_tokens
        finish = FinishReason.LENGTH if self.finished else None
        return GenerationStep((sampled.id,), finish, self._logprobs(sampled))

    def _logprobs(self, sampled: Sampled) -> tuple[tuple[TokenLogprob, ...], ...]:
        if sampled.logprob is None:
            return ()
        return ((TokenLogprob(sampled.id, sampled.logprob), *sampled.top),)

    def _ids(self, start: int, count: int) -> tuple[int, ...]:
        prompt = self.request.prompt
        from_prompt = prompt[start : start + count]
        past = max(start - len(prompt), 0)
        return from_prompt + tuple(self.output[past : past + count - len(from_prompt)])
