"""The way of a request, walked by the server's own parts and written down at every stop."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from enginebay_core.api import (
    GenerationRequest,
    GenerationStep,
    Generator,
    Limits,
    Prompt,
    SamplingParams,
    Support,
    TokenLogprob,
)
from enginebay_core.placement import RunningModel
from enginebay_core.plugins import BACKENDS, find_plugin
from enginebay_core.text import open_streamer
from enginebay_server.admission import admit, fit
from enginebay_server.answer import Answer, chat_choice, new_id
from enginebay_server.cli.token_text import TokenText, token_text, token_texts
from enginebay_server.conversation import conversation_of
from enginebay_server.frames import ChatShape
from enginebay_server.parsers import Dialect, PlainReader, ReasoningReader
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.reading import read
from enginebay_server.stream import events
from enginebay_server.tools import NO_TOOLS

ALTERNATIVES: Final = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """An id that could come next. ``probability`` is the model's own, before any sampling rule;
    None where the engine does not tell.
    """

    id: int
    text: str
    control: bool
    probability: float | None


@dataclass(frozen=True, slots=True)
class Chosen(Candidate):
    """An id of the answer, and the most likely others at its place."""

    alternatives: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Wire:
    """One answer as its ``chat.completion``, and as the events of a stream."""

    completion: Mapping[str, Any]
    stream: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """Everything that happened. ``ids`` are the prompt's and the new ones in one row, and the
    new ones begin at ``cut``. ``files`` names for each stop what does it, in order.
    """

    model: str
    backend: str
    request: Mapping[str, Any]
    template: str
    prompt: tuple[TokenText, ...]
    ids: tuple[int, ...]
    cut: int
    output: tuple[Chosen, ...]
    stop_ids: tuple[int, ...]
    finish: str
    reasoning: str
    content: str
    completion: Mapping[str, Any]
    stream: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def walk(
    model: RunningModel, dialect: Dialect, text: str, system: str | None, max_tokens: int
) -> Way:
    """One greedy answer. Raises RequestError where a server would answer 4xx."""
    body = request_body(model.name, text, system, max_tokens)
    fields = read(ChatRequest, body)
    admitted = admit(fields, model, reject_unknown=True)
    prompt = model.tokenizer.render(conversation_of(fields, model.template, dialect, NO_TOOLS))
    [run] = fit(admitted, prompt.ids, model, longest=max_tokens, param="messages", tenant="")
    steps = await generate(model, run)
    wire = await wrap(replace(model, generator=_Replay(steps, model.generator)), dialect, run)
    return _write_down(model, body, prompt, steps, wire, files=_files(model, dialect))


def request_body(model: str, text: str, system: str | None, max_tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}


async def generate(model: RunningModel, run: GenerationRequest) -> list[GenerationStep]:
    """The engine's steps, with the likeliest ids of each where it can tell them."""
    wanted = replace(run, sampling=_with_logprobs(model, run.sampling))
    return [step async for step in model.generator.generate(wanted)]


async def wrap(model: RunningModel, dialect: Dialect, run: GenerationRequest) -> Wire:
    """The answer as the server sends it: whole, and as the events of a stream."""
    name = new_id("chatcmpl")

    def answer() -> Answer:
        choice = chat_choice(0, model, (), run, dialect=dialect)
        return Answer(name, model.name, len(run.prompt), (choice,))

    whole = answer()
    shape = ChatShape(whole)
    async for delta in whole.deltas():
        shape.add(delta)
    streamed = replace(answer(), created=whole.created)
    frames = [frame async for frame in events(streamed, ChatShape(streamed), usage=True)]
    text = b"".join(frames).decode()
    return Wire(shape.whole(), tuple(text.rstrip("\n").split("\n\n")))


class _Replay:
    """A Generator that repeats steps already made, so that one answer can be sent twice."""

    def __init__(self, steps: Sequence[GenerationStep], origin: Generator) -> None:
        self._steps = steps
        self._origin = origin

    @property
    def limits(self) -> Limits:
        return self._origin.limits

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        for step in self._steps:
            yield step

    def close(self) -> None:
        self._origin.close()


def _with_logprobs(model: RunningModel, sampling: SamplingParams) -> SamplingParams:
    capability = model.capabilities.of("top_logprobs")
    if capability.support is Support.REFUSED:
        return sampling
    wanted = ALTERNATIVES + 1  # the chosen id is one of the likeliest
    limit = wanted if capability.maximum is None else int(capability.maximum)
    return replace(sampling, logprobs=min(wanted, limit))


def _write_down(
    model: RunningModel,
    body: Mapping[str, Any],
    prompt: Prompt,
    steps: Sequence[GenerationStep],
    wire: Wire,
    *,
    files: Mapping[str, tuple[str, ...]],
) -> Way:
    [choice] = wire.completion["choices"]
    new = tuple(token for step in steps for token in step.ids)
    return Way(
        model=model.name,
        backend=model.backend,
        request=body,
        template=prompt.text,
        prompt=tuple(token_texts(model.tokenizer, prompt.ids)),
        ids=prompt.ids + new,
        cut=len(prompt.ids),
        output=tuple(_chosen(model, steps)),
        stop_ids=tuple(sorted(model.stop_ids)),
        finish=choice["finish_reason"],
        reasoning=choice["message"].get("reasoning_content", ""),
        content=choice["message"]["content"],
        completion=wire.completion,
        stream=wire.stream,
        files=files,
    )


def _chosen(model: RunningModel, steps: Sequence[GenerationStep]) -> Iterator[Chosen]:
    for step in steps:
        for index, token in enumerate(step.ids):
            known = step.logprobs[index] if step.logprobs else ()
            own = _candidate(model, known[0]) if known else _candidate(model, token)
            others = [_candidate(model, one) for one in known[1:] if one.id != token]
            top = tuple(others[:ALTERNATIVES])
            yield Chosen(own.id, own.text, own.control, own.probability, top)


def _candidate(model: RunningModel, told: TokenLogprob | int) -> Candidate:
    token = told if isinstance(told, int) else told.id
    probability = None if isinstance(told, int) else math.exp(told.logprob)
    shown = token_text(model.tokenizer, token)
    return Candidate(token, shown.text, shown.control, probability)


def _files(model: RunningModel, dialect: Dialect) -> dict[str, tuple[str, ...]]:
    """Asked of the objects themselves, so that it cannot go stale."""
    reader = ReasoningReader if dialect.thinking else PlainReader
    backend = find_plugin(BACKENDS, model.backend).target.partition(":")[0].replace(".", "/")
    return {
        "request": (_file(ChatRequest), _file(admit), _file(conversation_of)),
        "template": (_file(type(model.tokenizer)),),
        "prompt": (_file(type(model.tokenizer)),),
        "output": (_file(type(model.generator)), backend),
        "text": (_file(open_streamer), _file(reader)),
        "wire": (_file(ChatShape), _file(events)),
    }


def _file(thing: Callable[..., Any]) -> str:
    module = inspect.getmodule(thing)
    name = module.__name__ if module else thing.__module__
    return name.replace(".", "/") + ".py"
