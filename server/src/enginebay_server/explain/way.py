"""What one request went through: the real values at every stop."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from enginebay_core.api import GenerationStep, Prompt, TokenLogprob
from enginebay_core.placement import RunningModel
from enginebay_core.plugins import BACKENDS, find_plugin
from enginebay_core.text import open_streamer
from enginebay_server.admission import admit
from enginebay_server.conversation import conversation_of
from enginebay_server.explain.token_text import TokenText, token_text, token_texts
from enginebay_server.frames import ChatShape
from enginebay_server.parsers import Dialect, PlainReader, ReasoningReader
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.stream import events

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


def write_down(
    model: RunningModel,
    dialect: Dialect,
    prompt: Prompt,
    *,
    request: Mapping[str, Any],
    steps: Sequence[GenerationStep],
    wire: Wire,
) -> Way:
    [choice] = wire.completion["choices"]
    new = tuple(token for step in steps for token in step.ids)
    return Way(
        model=model.name,
        backend=model.backend,
        request=request,
        template=prompt.text,
        prompt=tuple(token_texts(model.tokenizer, prompt.ids)),
        ids=prompt.ids + new,
        cut=len(prompt.ids),
        output=tuple(_chosen(model, steps)),
        stop_ids=tuple(sorted(model.stop_ids)),
        finish=choice["finish_reason"],
        reasoning=choice["message"].get("reasoning_content", ""),
        content=choice["message"]["content"] or "",
        completion=wire.completion,
        stream=wire.stream,
        files=_files(model, dialect),
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
