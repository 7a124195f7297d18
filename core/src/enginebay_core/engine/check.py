"""Refuses a request that cannot run, before the engine sees anything of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import fields
from typing import Any, Final

from enginebay_core.api import (
    ContextLengthExceeded,
    EngineStats,
    GenerationRequest,
    GenerationStep,
    Generator,
    Limits,
    Measured,
    RequestError,
)
from enginebay_core.grammar import GrammarCheck, GrammarLimits

_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    field.name: float if field.name.startswith("kv_") else int for field in fields(EngineStats)
}

log = logging.getLogger(__name__)


class CheckedGenerator:
    """An engine with a scheduler of its own, kept from requests that it cannot run."""

    def __init__(self, generator: Generator, grammars: GrammarLimits | None = None) -> None:
        self._generator = generator
        self._check_grammar = GrammarCheck(grammars or GrammarLimits())

    @property
    def limits(self) -> Limits:
        return self._generator.limits

    @property
    def stats(self) -> EngineStats:
        return stats_of(self._generator)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        await check_request(request, self.limits, self._check_grammar)
        async with aclosing(self._generator.generate(request)) as steps:
            async for step in steps:
                yield step

    def close(self) -> None:
        self._generator.close()


async def check_request(request: GenerationRequest, limits: Limits, grammars: GrammarCheck) -> None:
    """Raises RequestError naming the field; returns when the engine can take the request."""
    if not request.prompt:
        raise RequestError("the prompt is empty; send at least one token", param="prompt")
    _check_ids("prompt", (min(request.prompt), max(request.prompt)), limits.vocab_size)
    _check_ids("logit_bias", tuple(request.sampling.logit_bias), limits.vocab_size)
    if request.max_tokens < 1:
        raise RequestError(
            f"max_tokens is {request.max_tokens!r}; it must be at least 1", param="max_tokens"
        )
    if not 0 <= request.min_tokens <= request.max_tokens:
        raise RequestError(
            f"min_tokens is {request.min_tokens!r}; it must lie between 0 and max_tokens "
            f"({request.max_tokens})",
            param="min_tokens",
        )
    _check_length(len(request.prompt), request.max_tokens, limits.context_length)
    if request.grammar is not None:
        await grammars.check(request.grammar)


def _check_ids(field: str, ids: tuple[int, ...], vocab_size: int) -> None:
    for token in ids:
        if not 0 <= token < vocab_size:
            raise RequestError(
                f"{field} has the token id {token!r}; this model's ids are 0 to {vocab_size - 1}",
                param=field,
            )


def _check_length(prompt: int, wanted: int, limit: int) -> None:
    if prompt + wanted > limit:
        raise ContextLengthExceeded(
            f"this model's context is {limit} tokens; the prompt has {prompt} and {wanted} more "
            f"were asked for: shorten the prompt or lower max_tokens",
            param="messages" if prompt >= limit else "max_tokens",
        )


def stats_of(generator: object) -> EngineStats:
    """What an engine tells of itself; nothing where it tells nothing, or fails to."""
    try:
        told = generator.stats if isinstance(generator, Measured) else EngineStats()
        values = [(name, getattr(told, name)) for name in _KINDS]
        return EngineStats(**{n: _KINDS[n](value) for n, value in values if value is not None})
    except Exception:  # a plugin may raise anything, and metrics are worth no request
        log.debug("an engine's stats cannot be had", exc_info=True)
        return EngineStats()
