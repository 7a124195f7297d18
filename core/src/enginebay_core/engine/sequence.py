"""One sequence on its way through the engine."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

from enginebay_core.api import (
    EngineBayError,
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
from enginebay_core.grammar import Matcher

_NONE: frozenset[int] = frozenset()


class Sequence:
    """Mutable, and touched by the engine's thread alone once submitted.

    ``ids`` are prompt and output, ``slot`` is None while waiting, ``since`` is when the waiting
    began, ``begun`` whether it ever had a slot. ``cached`` counts the prompt ids whose KV was
    there already. ``mailbox`` is whatever the loop's ``deliver`` knows the reader by. ``matcher``
    is there where the request has a grammar.
    """

    __slots__ = (
        "_row",
        "begun",
        "cached",
        "finished",
        "ids",
        "mailbox",
        "matcher",
        "memory",
        "output",
        "params",
        "request",
        "since",
        "slot",
    )

    def __init__(
        self, request: GenerationRequest, mailbox: Any, matcher: Matcher | None = None
    ) -> None:
        self.request = request
        self.mailbox = mailbox
        self.matcher = matcher
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
        self.begun = False

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
        mask = self.matcher.mask if self.matcher else None
        early = len(self.output) < self.request.min_tokens
        unmasked = self.matcher is not None and mask is None
        banned = self.request.stop_ids if early or unmasked else _NONE
        kept = self._row
        if (
            kept is None
            or kept.index != index
            or kept.banned is not banned
            or (kept.mask is None) != (mask is None)
        ):
            kept = self._row = SampleRow(
                index=index,
                params=self.params,
                prompt=self.request.prompt,
                output=self.output,
                choice=self.request.choice,
                banned=banned,
                mask=mask,
                memory=self.memory,
            )
        return kept

    def take(self, sampled: Sampled) -> GenerationStep | EngineBayError:
        """Append what was sampled, and say what the reader is to see of it."""
        fault = self.matcher.take(sampled.id) if self.matcher else None
        if fault is not None:
            self.finished = True
            return fault
        cached = 0 if self.output else self.cached
        if sampled.id in self.request.stop_ids:
            self.finished = True
            return GenerationStep((), FinishReason.STOP, cached_tokens=cached)
        self.ids.append(sampled.id)
        self.output.append(sampled.id)
        finish = self._finish()
        self.finished = finish is not None
        return GenerationStep((sampled.id,), finish, self._logprobs(sampled), cached)

    def _finish(self) -> FinishReason | None:
        if self.matcher is not None and self.matcher.complete:
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.output) >= self.request.max_tokens else None

    def _logprobs(self, sampled: Sampled) -> tuple[tuple[TokenLogprob, ...], ...]:
        if sampled.logprob is None:
            return ()
        return ((TokenLogprob(sampled.id, sampled.logprob), *sampled.top),)
