"""All choices of one request, running side by side."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from enginebay_core.api import GenerationRequest, Usage
from enginebay_core.placement import RunningModel
from enginebay_core.text import open_streamer
from enginebay_server.choice import Choice, Delta
from enginebay_server.logprobs import Ledger
from enginebay_server.metrics import Tally
from enginebay_server.parsers import CallReading, Dialect, PlainReader, open_reader


@dataclass(frozen=True)
class Answer:
    """``prompt_tokens`` counts each prompt once, however many choices it has. ``fingerprint`` is
    the model's ``system_fingerprint``.
    """

    id: str
    model: str
    prompt_tokens: int
    choices: tuple[Choice, ...]
    fingerprint: str | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    def deltas(self) -> AsyncGenerator[Delta, None]:
        """Of all choices, as they come. Closing it stops them all; so does the failure of one."""
        return self.choices[0].deltas() if len(self.choices) == 1 else _merged(self.choices)

    @property
    def usage(self) -> Usage:
        """Exact once the deltas have ended. Of several choices of one prompt the first tells what
        was cached: the others share its work.
        """
        completion = sum(choice.completion_tokens for choice in self.choices)
        cached = sum(choice.cached_tokens for choice in self.choices if choice.leads)
        return Usage(self.prompt_tokens, completion, cached)

    @property
    def first_at(self) -> float | None:
        """When the first token of any choice came."""
        firsts = (choice.clock.first for choice in self.choices)
        return min((first for first in firsts if first is not None), default=None)

    def time_tokens(self, tally: Tally) -> None:
        """It gets the time from each token to the next."""
        for choice in self.choices:
            choice.clock.tally = tally

    @property
    def reasoning_tokens(self) -> int:
        """How many of the usage's completion tokens were thinking."""
        return sum(choice.reasoning_tokens for choice in self.choices)


def new_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex}"


def chat_choice(
    index: int,
    model: RunningModel,
    stop: Sequence[str],
    run: GenerationRequest,
    *,
    dialect: Dialect,
    calls: CallReading | None = None,
) -> Choice:
    """A choice whose thinking and tool calls are told from its answer, as the model has them."""
    reader = open_reader(model.tokenizer, dialect, run.prompt, stop=tuple(stop), calls=calls)
    return Choice(index, model.generator, run, reader, _ledger(model, run))


def plain_choice(
    index: int, model: RunningModel, stop: Sequence[str], run: GenerationRequest
) -> Choice:
    """A choice that is all text."""
    reader = PlainReader(open_streamer(model.tokenizer, stop=tuple(stop)))
    return Choice(index, model.generator, run, reader, _ledger(model, run))


def _ledger(model: RunningModel, run: GenerationRequest) -> Ledger | None:
    return None if run.sampling.logprobs is None else Ledger(model.tokenizer)


async def _merged(choices: Sequence[Choice]) -> AsyncGenerator[Delta, None]:
    arrived: asyncio.Queue[Delta | Exception] = asyncio.Queue()
    pumps = [asyncio.create_task(_pump(choice, arrived)) for choice in choices]
    running = len(choices)
    try:
        while running:
            delta = await arrived.get()
            if isinstance(delta, Exception):
                raise delta
            running -= delta.finish is not None
            yield delta
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(choice: Choice, arrived: asyncio.Queue[Delta | Exception]) -> None:
    try:
        async with aclosing(choice.deltas()) as deltas:
            async for delta in deltas:
                arrived.put_nowait(delta)
    except Exception as error:  # whoever reads the queue decides what it means
        arrived.put_nowait(error)
