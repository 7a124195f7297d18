"""Everything that one model said, kept after it was closed: so the two need not be open, and in
memory, at once.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from enginebay_core.api import Progress, RequestError, Tokenizer
from enginebay_core.compare.answer import Answer, Refused, Told, first_difference
from enginebay_core.compare.question import Question
from enginebay_core.compare.side import Pace, Side
from enginebay_core.compare.tolerance import said_precision
from enginebay_core.config import ModelConfig
from enginebay_core.placement import open_model
from enginebay_core.placement.identity import Identity

TIMED: Final = 4
"""Questions that are asked once more, to time them."""
WARM_UP: Final = "warm-up"


@dataclass(frozen=True, slots=True)
class Named:
    """A model as its config has it, and what it is called here."""

    name: str
    config: ModelConfig


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over ``answers`` that had the engine for themselves: seconds to the first token, and
    tokens per second of the whole. None: nothing to measure.
    """

    answers: int
    first_token: float | None
    tokens_per_second: float | None


@dataclass(frozen=True)
class Recording:
    """``silence`` says why no log probabilities are told. ``along`` has, where it was led by
    another's answers, what it says at each place of each.
    """

    name: str
    backend: str
    model: str
    facts: Mapping[str, str]
    context_length: int
    silence: str | None
    identity: Identity
    tokenizer: Tokenizer
    answers: tuple[Answer | Refused, ...]
    speed: Speed
    along: tuple[tuple[Told, ...], ...] = ()

    @property
    def precision(self) -> str | None:
        """As the engine says it."""
        return said_precision(self.facts)


def record(
    chosen: Named,
    questions: Sequence[Question],
    max_tokens: int,
    progress: Progress,
    lead: Recording | None = None,
) -> Recording:
    """Opens the model, asks, closes it. Raises what ``open_model`` does, ConfigError for a model
    that makes no text, and EngineError when it fails.
    """
    progress(f"{chosen.name}: loading")
    model = open_model(chosen.name, chosen.config, progress)
    try:
        return asyncio.run(
            _Session(Side(model, max_tokens), chosen.name, progress).run(questions, lead)
        )
    finally:
        model.close()


class _Session:
    def __init__(self, side: Side, name: str, progress: Progress) -> None:
        self._side = side
        self._name = name
        self._progress = progress

    async def run(self, questions: Sequence[Question], lead: Recording | None) -> Recording:
        model, limits = self._side.model, self._side.model.generator.limits
        answers = [await self._answer(i, questions) for i in range(len(questions))]
        recording = Recording(
            name=self._name,
            backend=model.backend,
            model=model.model,
            facts=limits.facts,
            context_length=limits.context_length,
            silence=self._side.silence,
            identity=model.identity,
            tokenizer=model.tokenizer,
            answers=tuple(answers),
            speed=await self._time([one for one in answers if isinstance(one, Answer)][:TIMED]),
        )
        if lead is None:
            return recording
        pairs = enumerate(zip(lead.answers, answers, strict=True))
        along = [await self._follow(i, a, b, len(answers)) for i, (a, b) in pairs]
        return replace(recording, along=tuple(along))

    async def _answer(self, index: int, questions: Sequence[Question]) -> Answer | Refused:
        self._progress(f"{self._name}: asking", index, len(questions))
        try:
            prompt = questions[index].prompt(self._side.model)
            return await self._side.answer(prompt, str(index))
        except RequestError as error:
            return Refused(str(error))

    async def _time(self, answers: Sequence[Answer]) -> Speed:
        """Each alone, and none finding its prompt computed already."""
        for answer in answers[:1]:
            await self._side.pace(answer.prompt, WARM_UP)
        paces: list[Pace] = []
        for index, answer in enumerate(answers):
            self._progress(f"{self._name}: timing", index, len(answers))
            paces.append(await self._side.pace(answer.prompt, f"timed {index}"))
        if not paces:
            return Speed(0, None, None)
        first = statistics.median(pace.first for pace in paces)
        return Speed(len(paces), first, statistics.median(pace.rate for pace in paces))

    async def _follow(
        self, index: int, a: Answer | Refused, b: Answer | Refused, count: int
    ) -> tuple[Told, ...]:
        """What it says at each place of ``a``: as in its own answer while that is the same, then
        led along ``a`` id by id.
        """
        if isinstance(a, Refused) or isinstance(b, Refused) or a.prompt != b.prompt:
            return ()
        self._progress(f"{self._name}: following the other's answers", index, count)
        same = first_difference([one.id for one in a.told], [one.id for one in b.told])
        along = list(b.told[: same + 1])[: len(a.told)]
        for place in range(len(along), len(a.told)):
            told = await self._side.follow(a.prompt + a.ids[:place], str(index))
            if told is None:
                break
            along.append(told)
        return tuple(along)
