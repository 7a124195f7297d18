"""One sequence on its way through the engine."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

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
from enginebay_core.engine.slots import Slot

_NONE: frozenset[int] = frozenset()


class Sequence:
    """Mutable, and touched by the engine's thread alone once submitted.

    ``ids`` are prompt and output, ``slot`` is None while waiting, ``since`` is when the waiting
    began. ``cached`` counts the prompt ids whose KV was there already. ``mailbox`` is whatever the
    loop's ``deliver`` knows the reader by.
    """

    __slots__ = (
        "_row",
        "cached",
        "finished",
        "ids",
        "mailbox",
        "memory",
        "output",
        "params",
        "request",
        "since",
        "slot",
    )

    def __init__(self, request: GenerationRequest, mailbox: Any) -> None:
        self.request = request
        self.mailbox = mailbox
        self.params = request.sampling
        if self.params.seed is None:
            self.params = replace(self.params, seed=secrets.randbits(63))
        self.ids = list(request.prompt)
        self.output: list[int] = []
        self.memory = SamplerMemory()
        self._row: SampleRow | None = None
        self.slot: Slot | None = None
        self.cached = 0
        self.finished = False
        self.since = time.monotonic()

    @property
    def computed(self) -> int:
        """Ids whose KV lies in the slot."""
        return self.slot.length if self.slot else 0

    @property
    def remaining(self) -> int:
        """Ids that are known but not yet in the KV."""
        return len(self.ids) - self.computed

    @property
    def decoding(self) -> bool:
        """Whether its row is decode to the engine: one id. A prompt's last one counts too."""
        return self.remaining == 1

    def row(self, count: int) -> StepRow:
        """Run the next ``count`` ids; logits only when they reach the end."""
        assert self.slot is not None
        start = self.slot.length
        ids = tuple(self.ids[start : start + count])
        return StepRow(self.slot.number, start, ids, "last" if count == self.remaining else "none")

    def sample_row(self, index: int) -> SampleRow:
        """Prompt and output are live, so that a row at the same place stays as it is."""
        early = len(self.output) < self.request.min_tokens
        banned = self.request.stop_ids if early else _NONE
        kept = self._row
        if kept is None or kept.index != index or kept.banned is not banned:
            kept = self._row = SampleRow(
                index=index,
                params=self.params,
                prompt=self.request.prompt,
                output=self.output,
                choice=self.request.choice,
                banned=banned,
                memory=self.memory,
            )
        return kept

    def take(self, sampled: Sampled) -> GenerationStep:
        """Append what was sampled, and say what the reader is to see of it."""
        cached = 0 if self.output else self.cached
        if sampled.id in self.request.stop_ids:
            self.finished = True
            return GenerationStep((), FinishReason.STOP, cached_tokens=cached)
        self.ids.append(sampled.id)
        self.output.append(sampled.id)
        self.finished = len(self.output) >= self.request.max_tokens
        finish = FinishReason.LENGTH if self.finished else None
        return GenerationStep((sampled.id,), finish, self._logprobs(sampled), cached)

    def _logprobs(self, sampled: Sampled) -> tuple[tuple[TokenLogprob, ...], ...]:
        if sampled.logprob is None:
            return ()
        return ((TokenLogprob(sampled.id, sampled.logprob), *sampled.top),)
