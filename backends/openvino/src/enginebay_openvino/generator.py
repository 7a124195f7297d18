"""openvino-genai's ContinuousBatchingPipeline as a Generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from enginebay_core.api import (
    EngineStats,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Limits,
)
from enginebay_openvino.grammar import Spelling, write_ebnf
from enginebay_openvino.loop import Make, PipelineLoop
from enginebay_openvino.mailbox import Mailbox
from enginebay_openvino.sampling import generation_config, keep_to


class OpenVinoGenerator:
    """Owns the pipeline that ``make`` makes. Without a ``spelling`` there are no grammars."""

    def __init__(self, make: Make, limits: Limits, spelling: Spelling | None = None) -> None:
        self.spelling = spelling
        self._limits = limits
        self._loop = PipelineLoop(make)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def steps(self) -> int:
        """Steps of the pipeline that ended since the start."""
        return self._loop.steps

    @property
    def stats(self) -> EngineStats:
        """The pipeline does not tell who waits, and prompts share nothing."""
        running, used = self._loop.running, self._loop.kv_used
        return EngineStats(running=running, kv_used=used if running else 0.0)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        """Raises RequestError for a grammar that cannot be kept to, before any work."""
        grammar = request.grammar
        if grammar is None:
            made = self._run(request, generation_config(request))
        else:
            ebnf = await asyncio.to_thread(write_ebnf, grammar)
            begun = grammar.thinking is not None and grammar.thinking.begun
            made = (self._think if begun else self._keep)(request, ebnf)
        async with aclosing(made) as steps:
            async for step in steps:
                yield step

    async def _keep(
        self, request: GenerationRequest, ebnf: str
    ) -> AsyncGenerator[GenerationStep, None]:
        """An output that follows ``ebnf`` from its first id on."""
        assert self.spelling is not None, "not claimed"
        ended = request.stop_ids or frozenset({self.spelling.end})
        config = generation_config(request)
        keep_to(config, ebnf, ended)
        bound = replace(request, stop_ids=ended)
        async with aclosing(self._run(bound, config, ebnf)) as steps:
            async for step in steps:
                yield step

    async def _think(
        self, request: GenerationRequest, ebnf: str
    ) -> AsyncGenerator[GenerationStep, None]:
        """The thinking as a text of its own, whose last id closes it; what follows goes on from
        there, under the grammar.
        """
        assert request.grammar is not None
        thinking = request.grammar.thinking
        assert thinking is not None
        free = replace(request, grammar=None, min_tokens=0)
        closing = replace(free, stop_ids=request.stop_ids | {thinking.closing})
        made: list[int] = []
        async with aclosing(self._run(free, generation_config(closing))) as steps:
            async for step in steps:
                made += step.ids
                closed = bool(step.ids) and step.ids[-1] == thinking.closing
                goes_on = closed and len(made) < request.max_tokens
                yield replace(step, finish=None) if goes_on else _cut(step, closed)
                if step.finish is not None and not goes_on:
                    return
        rest = replace(
            request,
            prompt=(*request.prompt, *made),
            max_tokens=request.max_tokens - len(made),
        )
        async with aclosing(self._keep(rest, ebnf)) as steps:
            async for step in steps:
                yield step

    async def _run(
        self, request: GenerationRequest, config: Any, grammar: str = ""
    ) -> AsyncGenerator[GenerationStep, None]:
        mailbox = Mailbox()
        ticket = self._loop.submit(request, config, mailbox, grammar)
        try:
            finish = None
            while finish is None:
                step = await mailbox.next()
                finish = step.finish
                yield step
        finally:
            self._loop.cancel(ticket)

    def close(self) -> None:
        """Blocks until the step in flight is done. Safe to call twice."""
        self._loop.close()
        self.spelling = None


def _cut(step: GenerationStep, closed: bool) -> GenerationStep:
    """Thinking that closes with the last id there was room for has no answer."""
    return replace(step, finish=FinishReason.LENGTH) if closed else step
