"""Walks the way of a request with the server's own parts, and writes it down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from enginebay_core.api import (
    GenerationRequest,
    GenerationStep,
    Generator,
    Limits,
    Prompt,
    Support,
)
from enginebay_core.placement import RunningModel
from enginebay_server.admission import Admitted, fit
from enginebay_server.answer import Answer, chat_choice, new_id
from enginebay_server.choice import Choice
from enginebay_server.explain.way import ALTERNATIVES, Way, Wire, write_down
from enginebay_server.fingerprint import fingerprint_of
from enginebay_server.frames import ChatShape
from enginebay_server.parsers import Dialect
from enginebay_server.prepared import prepare_chat
from enginebay_server.prompt import PromptMaker
from enginebay_server.schema.explain import LONGEST, ExplainRequest
from enginebay_server.stream import events


@dataclass(frozen=True)
class Recorder:
    """A Generator that keeps the steps of another, with the likeliest ids of each where these can
    be told.
    """

    origin: Generator
    alternatives: int | None
    steps: list[GenerationStep] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        return self.origin.limits

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        sampling = replace(request.sampling, logprobs=self.alternatives)
        wanted = replace(request, sampling=sampling)
        async with aclosing(self.origin.generate(wanted)) as steps:
            async for step in steps:
                self.steps.append(step)
                yield step

    def close(self) -> None:
        self.origin.close()


@dataclass(frozen=True)
class Replay:
    """A Generator that repeats what was recorded, so that one answer can be sent twice."""

    recorded: Recorder

    @property
    def limits(self) -> Limits:
        return self.recorded.limits

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        for step in self.recorded.steps:
            yield step

    def close(self) -> None:
        self.recorded.close()


@dataclass(frozen=True)
class Walk:
    """A request whose prompt is ready. ``answer`` is made, once, by ``finish``."""

    model: RunningModel
    dialect: Dialect
    admitted: Admitted
    prompt: Prompt
    recorder: Recorder
    choose: Callable[[Generator], Choice]
    answer: Answer

    async def finish(self, request: Mapping[str, Any]) -> Way:
        """``request`` is the body as it came. Cancelling this stops the generation."""
        shape = ChatShape(self.answer)
        async with aclosing(self.answer.deltas()) as deltas:
            async for delta in deltas:
                shape.add(delta)
        return await asyncio.to_thread(self._write_down, request, shape.whole())

    def _write_down(self, request: Mapping[str, Any], whole: Mapping[str, Any]) -> Way:
        """Much to do at once, so it is not done on the server's event loop."""
        return write_down(
            self.model,
            self.dialect,
            self.prompt,
            request=request,
            steps=self.recorder.steps,
            wire=Wire(whole, asyncio.run(self._streamed())),
        )

    async def _streamed(self) -> tuple[str, ...]:
        """The same answer as a client that streams would get it."""
        again = replace(self.answer, choices=(self.choose(Replay(self.recorder)),))
        frames = [frame async for frame in events(again, ChatShape(again), usage=True)]
        return tuple(b"".join(frames).decode().rstrip("\n").split("\n\n"))


async def begin_walk(
    fields: ExplainRequest,
    model: RunningModel,
    dialect: Dialect,
    prompts: PromptMaker,
    *,
    reject_unknown: bool,
    tenant: str = "",
) -> Walk:
    """As for a chat. Raises RequestError where a server would answer 4xx."""
    ready = await prepare_chat(fields, model, dialect, prompts, reject_unknown=reject_unknown)
    admitted, tools, prompt = ready.admitted, ready.tools, ready.prompt
    [run] = fit(admitted, prompt.ids, model, longest=LONGEST, param="messages", tenant=tenant)
    run = tools.constrain(replace(run, max_tokens=min(run.max_tokens, LONGEST)))

    def choose(generator: Generator) -> Choice:
        played = replace(model, generator=generator)
        return chat_choice(0, played, admitted.stop, run, dialect=dialect, calls=tools.calls)

    recorder = Recorder(model.generator, alternatives(model))
    chosen, name = (choose(recorder),), fingerprint_of(model).name
    answer = Answer(new_id("chatcmpl"), model.name, len(prompt.ids), chosen, name)
    return Walk(model, dialect, admitted, prompt, recorder, choose, answer)


def alternatives(model: RunningModel) -> int | None:
    """How many likely ids to ask the engine for; None where it cannot tell, or not always."""
    capability = model.capabilities.of("top_logprobs")
    pairs = {name for pair in model.capabilities.forbidden for name in pair}
    if capability.support is Support.REFUSED or pairs & {"logprobs", "top_logprobs"}:
        return None
    wanted = ALTERNATIVES + 1  # the chosen id is one of the likeliest
    return wanted if capability.maximum is None else min(wanted, int(capability.maximum))
