"""Generators with one fault each, around core's own scheduler over the toy."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from enginebay_core.api import (
    Capabilities,
    Capability,
    EngineClosed,
    EngineError,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Grammar,
    Limits,
    RequestError,
    Rule,
    Support,
    step_capabilities,
)
from enginebay_core.engine import StepGenerator
from enginebay_core.text import ByteTokenizer, spell_vocabulary
from enginebay_core.toy import ToyEngine

Steps = AsyncGenerator[GenerationStep, None]


class Wrapped:
    """Nothing wrong yet."""

    def __init__(self) -> None:
        engine = ToyEngine(step_seconds=self.step_seconds)
        spell = partial(spell_vocabulary, ByteTokenizer(), engine.spec.vocab_size)
        self.inner = StepGenerator(engine, "wrapped", spell=spell)

    step_seconds = 0.0

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    async def generate(self, request: GenerationRequest) -> Steps:
        async with aclosing(self.inner.generate(request)) as steps:
            async for step in steps:
                yield step

    def close(self) -> None:
        self.inner.close()


class StopIdIsOutput(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        free = replace(request, stop_ids=frozenset())
        async for step in super().generate(free):
            if step.ids and step.ids[0] in request.stop_ids:
                yield replace(step, finish=FinishReason.STOP)
                return
            yield step


class FirstIdIsNotChecked(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        first = replace(request, stop_ids=frozenset(), max_tokens=1)
        async for step in super().generate(first):
            done = request.max_tokens == 1
            yield replace(step, finish=step.finish if done else None)
            if not done:
                rest = (*request.prompt, *step.ids)
                async for later in super().generate(
                    replace(request, prompt=rest, max_tokens=request.max_tokens - 1, min_tokens=0)
                ):
                    yield later


class FinishIsAlwaysStop(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            yield replace(step, finish=step.finish and FinishReason.STOP)


class OneIdTooMany(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(replace(request, max_tokens=request.max_tokens + 1)):
            yield step


class LastIdTwice(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            yield replace(step, ids=step.ids * 2) if step.finish else step


class NeverFinishes(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            yield replace(step, finish=None)


class StopsByItself(Wrapped):
    """At the model's own end, whatever the request says."""

    async def generate(self, request: GenerationRequest) -> Steps:
        ends = request.stop_ids | {256, 258}
        async for step in super().generate(replace(request, stop_ids=ends)):
            yield step


class MinTokensIgnored(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(replace(request, min_tokens=0)):
            yield step


class LateCancel(Wrapped):
    """Leaving stops the reading, not the work."""

    step_seconds = 0.002

    def __init__(self) -> None:
        super().__init__()
        self._working: set[asyncio.Task[None]] = set()

    async def generate(self, request: GenerationRequest) -> Steps:
        queue: asyncio.Queue[GenerationStep | Exception] = asyncio.Queue()
        task = asyncio.create_task(self._work(request, queue))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        finish = None
        while finish is None:
            step = await queue.get()
            if isinstance(step, Exception):
                raise step
            finish = step.finish
            yield step

    async def _work(
        self, request: GenerationRequest, queue: asyncio.Queue[GenerationStep | Exception]
    ) -> None:
        try:
            async for step in self.inner.generate(request):
                queue.put_nowait(step)
        except Exception as error:
            queue.put_nowait(error)


class Unchecked(Wrapped):
    """Finds out in the middle of the work."""

    async def generate(self, request: GenerationRequest) -> Steps:
        try:
            async for step in super().generate(request):
                yield step
        except RequestError as error:
            raise IndexError("index out of range in self") from error


class BlamesAnotherField(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        try:
            async for step in super().generate(request):
                yield step
        except RequestError as error:
            raise type(error)(str(error), param="messages") from error


class ContextOneTooShort(Wrapped):
    """Publishes less than it takes."""

    @property
    def limits(self) -> Limits:
        return replace(self.inner.limits, context_length=self.inner.limits.context_length - 1)


class ContextTooLong(Wrapped):
    """Publishes more than there is."""

    def __init__(self) -> None:
        self.inner = StepGenerator(ToyEngine(max_length=255), "wrapped")

    @property
    def limits(self) -> Limits:
        return replace(self.inner.limits, context_length=256)


class ErrorsEndEverybody(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self._broken = 0

    async def generate(self, request: GenerationRequest) -> Steps:
        broken = self._broken
        try:
            async for step in super().generate(request):
                if self._broken != broken:
                    raise EngineError("another request was at fault")
                yield step
        except RequestError:
            self._broken += 1
            raise


class OneAfterAnother(Wrapped):
    """What belongs to one request reaches another: the last prompt wins."""

    prompt: tuple[int, ...] = ()

    async def generate(self, request: GenerationRequest) -> Steps:
        self.prompt = request.prompt
        await asyncio.sleep(0)
        async for step in super().generate(replace(request, prompt=self.prompt)):
            yield step


class EarlyLeaversPoison(Wrapped):
    """Who leaves before the first step leaves the next in a wrong state."""

    poisoned = 0

    async def generate(self, request: GenerationRequest) -> Steps:
        prompt = request.prompt
        if self.poisoned:
            self.poisoned -= 1
            prompt = (*prompt[1:], prompt[0])
        begun = False
        try:
            async for step in super().generate(replace(request, prompt=prompt)):
                begun = True
                yield step
        finally:
            self.poisoned += not begun


class CloseIsForgotten(Wrapped):
    """Readers wait for ever."""

    async def generate(self, request: GenerationRequest) -> Steps:
        try:
            async for step in super().generate(request):
                yield step
        except EngineClosed:
            await asyncio.Event().wait()


class LeavesAThread(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.done = threading.Event()
        threading.Thread(target=self.done.wait, args=(20,), name="left", daemon=True).start()


class LeavesAFile(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.pipe = os.pipe()


class LeavesATask(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        self.task = asyncio.create_task(asyncio.sleep(60))
        async for step in super().generate(request):
            yield step


def changed(**neutral: Any) -> Callable[[], Wrapped]:
    """A Generator that takes a field and does not honour it."""

    class Ignores(Wrapped):
        async def generate(self, request: GenerationRequest) -> Steps:
            sampling = replace(request.sampling, **neutral)
            async for step in super().generate(replace(request, sampling=sampling)):
                yield step

    return Ignores


class OneSampler(Wrapped):
    """All choices alike."""

    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(replace(request, choice=0)):
            yield step


class GrammarIgnored(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(replace(request, grammar=None)):
            yield step


class GrammarOfTheLast(Wrapped):
    """One for all."""

    grammar: Grammar | None = None

    async def generate(self, request: GenerationRequest) -> Steps:
        self.grammar = request.grammar or self.grammar
        await asyncio.sleep(0)
        async for step in super().generate(replace(request, grammar=self.grammar)):
            yield step


class MaskFromTheFirstId(Wrapped):
    """Thinking or not."""

    async def generate(self, request: GenerationRequest) -> Steps:
        grammar = request.grammar and replace(request.grammar, thinking=None)
        async for step in super().generate(replace(request, grammar=grammar)):
            yield step


class GrammarsNeedAnEnd(Wrapped):
    """Only a stop id ends a text."""

    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            ended = request.grammar and step.ids and step.finish is FinishReason.STOP
            yield replace(step, finish=FinishReason.LENGTH) if ended else step


class AnyJson(Wrapped):
    """Takes every schema for that of any value."""

    async def generate(self, request: GenerationRequest) -> Steps:
        grammar = request.grammar and replace(request.grammar, rule=loosened(request.grammar.rule))
        async for step in super().generate(replace(request, grammar=grammar)):
            yield step


def loosened(rule: Rule) -> Rule:
    parts = tuple([loosened(part) for part in rule.parts])
    return replace(rule, parts=parts, text="{}" if rule.kind == "json" else rule.text)


class UnsortedLogprobs(Wrapped):
    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            turned = tuple((entry[0], *entry[:0:-1]) for entry in step.logprobs)
            yield replace(step, logprobs=turned)


class LogprobsAsDrawn(Wrapped):
    """Of the distribution that was drawn from, not of the model's."""

    async def generate(self, request: GenerationRequest) -> Steps:
        warmth = request.sampling.temperature or 1.0
        async for step in super().generate(request):
            told = tuple(
                tuple(replace(one, logprob=one.logprob / warmth) for one in entry)
                for entry in step.logprobs
            )
            yield replace(step, logprobs=told)


class LogprobsOfNothing(Wrapped):
    """Certain of whatever came."""

    async def generate(self, request: GenerationRequest) -> Steps:
        async for step in super().generate(request):
            told = tuple((replace(entry[0], logprob=-1e-3),) for entry in step.logprobs)
            yield replace(step, logprobs=told)


GENERATORS: Sequence[tuple[str, Callable[[], Wrapped], tuple[str, ...]]] = (
    ("stop id is output", StopIdIsOutput, ("a_stop_id_ends_the_text_unseen",)),
    ("first id is not checked", FirstIdIsNotChecked, ("a_text_may_end_before_it_begins",)),
    ("finish is always stop", FinishIsAlwaysStop, ("max_tokens_is_exact",)),
    ("one id too many", OneIdTooMany, ("max_tokens_is_exact",)),
    ("last id twice", LastIdTwice, ("max_tokens_is_exact",)),
    ("never finishes", NeverFinishes, ("greedy_repeats_itself",)),
    ("stops by itself", StopsByItself, ("without_stop_ids_the_text_runs_on",)),
    ("min_tokens ignored", MinTokensIgnored, ("min_tokens_keeps_stop_ids_away",)),
    ("late cancel", LateCancel, ("leaving_frees_the_room",)),
    (
        "requests mixed up",
        OneAfterAnother,
        ("greedy_among_eight_neighbours", "sixteen_interleaved"),
    ),
    ("early leavers poison", EarlyLeaversPoison, ("leaving_before_the_first_step",)),
    ("close is forgotten", CloseIsForgotten, ("closing_ends_running_requests",)),
    ("leaves a thread", LeavesAThread, ("closing_leaves_nothing_behind",)),
    ("leaves a file", LeavesAFile, ("closing_leaves_nothing_behind",)),
    ("all choices alike", OneSampler, ("choices_differ_and_repeat",)),
    ("unsorted logprobs", UnsortedLogprobs, ("logprobs_are_of_the_models_own_distribution",)),
    ("logprobs as drawn", LogprobsAsDrawn, ("logprobs_say_how_often_ids_come",)),
    ("claims temperature", changed(temperature=1.0), ("temperature_sets_the_odds",)),
    ("claims top_k", changed(top_k=0), ("top_k_one_is_greedy", "top_k_keeps_k")),
    ("claims top_p", changed(top_p=1.0), ("tiny_top_p_is_greedy", "top_p_keeps_the_nucleus")),
    ("claims min_p", changed(min_p=0.0), ("min_p_one_is_greedy", "min_p_keeps_the_likely")),
    ("claims logit_bias", changed(logit_bias={}), ("logit_bias_bans_and_forces",)),
    ("claims presence", changed(presence_penalty=0.0), ("presence_penalty_is_paid_once",)),
    ("claims frequency", changed(frequency_penalty=0.0), ("frequency_penalty_is_paid_each_time",)),
    (
        "claims repetition",
        changed(repetition_penalty=1.0),
        ("repetition_penalty_prevents_repetition",),
    ),
    (
        "claims seed",
        changed(seed=None),
        ("a_seed_repeats_its_text", "a_seed_among_eight_neighbours"),
    ),
    (
        "claims grammars",
        GrammarIgnored,
        ("outputs_are_valid_under_their_schema", "texts_json_and_control_tokens_in_their_places"),
    ),
    ("one grammar for all", GrammarOfTheLast, ("grammars_are_nobody_elses",)),
    ("masks thinking", MaskFromTheFirstId, ("thinking_comes_before_the_grammar",)),
    (
        "grammars need an end",
        GrammarsNeedAnEnd,
        ("a_complete_value_ends_without_a_stop_id", "a_grammar_outlives_no_min_tokens"),
    ),
    ("any schema will do", AnyJson, ("what_is_no_schema_is_refused_by_its_place",)),
    ("context published too long", ContextTooLong, ("the_context_can_be_filled",)),
)
"""Each fault with the checks that are meant for it."""

ONLY_ITS_OWN: Sequence[tuple[str, Callable[[], Wrapped], str]] = (
    ("logprobs as drawn", LogprobsAsDrawn, "logprobs_say_how_often_ids_come"),
    ("logprobs of nothing", LogprobsOfNothing, "logprobs_say_how_often_ids_come"),
    ("claims temperature", changed(temperature=1.0), "temperature_sets_the_odds"),
    ("claims top_k", changed(top_k=0), "top_k_keeps_k"),
    ("another top_k", changed(top_k=6), "top_k_keeps_k"),
    ("claims top_p", changed(top_p=1.0), "top_p_keeps_the_nucleus"),
    ("claims min_p", changed(min_p=0.0), "min_p_keeps_the_likely"),
)
"""Faults that show although an id comes with its own logprob alone."""

REFUSERS: Sequence[tuple[type[Wrapped], tuple[str, ...]]] = (
    (Unchecked, ("bad_requests_name_the_field", "one_id_too_many_is_refused")),
    (BlamesAnotherField, ("bad_requests_name_the_field",)),
    (ContextOneTooShort, ("one_id_too_many_is_refused",)),
    (ErrorsEndEverybody, ("a_bad_request_disturbs_nobody",)),
)
"""Faults in refusing requests. Core refuses before a Generator does, so they show without it."""


def claims(**fields: Support) -> Capabilities:
    """What core's scheduler does, but for these fields."""
    changes = {name: Capability(support) for name, support in fields.items()}
    return Capabilities({**step_capabilities().fields, **changes})


CLAIMS: Sequence[tuple[str, Capabilities, str]] = (
    (
        "penalties without logprobs",
        claims(logprobs=Support.REFUSED, top_logprobs=Support.REFUSED),
        "every_claim_has_a_witness",
    ),
    ("emulated top_k", claims(top_k=Support.EMULATED), "claims_are_consistent"),
    ("top_logprobs alone", claims(logprobs=Support.REFUSED), "claims_are_consistent"),
)
"""Claims that no engine can keep, with the check that says so."""
