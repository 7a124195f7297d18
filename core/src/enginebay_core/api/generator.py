"""Ids in, ids out, as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from enginebay_core.api.grammar import Grammar
from enginebay_core.api.sampling import SamplingParams, TokenLogprob


class FinishReason(StrEnum):
    """Why a sequence ended: a stop id (or, further up, a stop string) or the end of its grammar;
    or no room for more.
    """

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one request, from ids that ran; never from text encoded again."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One sequence to generate. ``n`` choices of a chat are n requests that differ in ``choice``.

    ``max_tokens`` counts output ids and is at least 1. An id in ``stop_ids`` ends the sequence
    and is not part of the output; before ``min_tokens`` it cannot be chosen. Empty ``stop_ids``
    means: run to ``max_tokens``. Stop strings are the Streamer's business, which closes the
    iterator. Work on a prompt is shared only among requests of the same ``cache_salt``, so that
    one tenant cannot tell from the time it takes what another has asked.

    With a ``grammar`` the output follows it, whatever the sampling parameters say. A stop id can
    be chosen only where the grammar may end, and where nothing else can follow the sequence ends
    with STOP at once, without any; LENGTH means that it was cut off. An engine that cannot keep to
    it raises RequestError, whose ``param`` is the ``place`` of the rule at fault.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop_ids: frozenset[int] = frozenset()
    min_tokens: int = 0
    choice: int = 0
    cache_salt: str = ""
    grammar: Grammar | None = None


@dataclass(frozen=True, slots=True)
class GenerationStep:
    """What one engine step brought. ``ids`` may be empty only in the last step, which alone has
    ``finish``. ``logprobs`` has one entry per id where asked for: the id's own, then the best.
    ``cached_tokens`` counts, in the first step, the prompt ids that did not have to be computed.
    """

    ids: tuple[int, ...]
    finish: FinishReason | None = None
    logprobs: tuple[tuple[TokenLogprob, ...], ...] = ()
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request must keep to: ids in ``range(vocab_size)``, and prompt + output of at most
    ``context_length`` ids. ``facts`` tells the operator what was chosen; it is published.
    ``sequences``: how many run at once, more wait; None where the engine does not say.
    """

    vocab_size: int
    context_length: int
    facts: Mapping[str, str] = field(default_factory=dict)
    sequences: int | None = None


@dataclass(frozen=True, slots=True)
class EngineStats:
    """How full an engine is, in this instant, and what it has done since it was loaded. None is
    what it cannot tell.

    ``running`` sequences have room in the engine, ``waiting`` ones have none yet. Of the KV memory,
    ``kv_used`` is the share (0 to 1) that running sequences hold, ``kv_kept`` the share that holds
    finished ones until the room is needed. ``prefix_asked`` counts the ids of the prompts that
    began, ``prefix_found`` those of them whose KV was there already. ``preemptions`` counts the
    times that a running sequence had to give its room up and wait again.
    """

    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    kv_kept: float | None = None
    prefix_asked: int | None = None
    prefix_found: int | None = None
    preemptions: int | None = None


@runtime_checkable
class Generator(Protocol):
    """An engine with a scheduler of its own; core makes one of every StepEngine."""

    @property
    def limits(self) -> Limits: ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        """Steps of one sequence, in order, the last with ``finish``.

        Any number may run at once on one event loop; none may block it. Closing the iterator, at
        any point, cancels: the engine stops and its room is free within a step or two. Core has
        checked the request against ``limits`` before. Raises RequestError before any work for
        what else the engine cannot do, EngineError when it fails.
        """
        ...

    def close(self) -> None:
        """End every running request with EngineClosed, then free everything. Safe to call twice."""
        ...


@runtime_checkable
class StepCounter(Protocol):
    """A Generator may count its steps too: while it works the number grows, or it hangs. One that
    does not is judged by what it tells, and a long prompt may look like a hang.
    """

    @property
    def steps(self) -> int:
        """Steps that have ended since the start; read from any thread, at any time."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A Generator may tell how full it is; what it tells is published as metrics."""

    @property
    def stats(self) -> EngineStats:
        """Read from any thread, at any time, about once a second; never blocks."""
        ...
