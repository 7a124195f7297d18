"""Core's scheduler over the toy engine, whose next id is a hash of the ids in its own KV."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import (
    Batching,
    ContextLengthExceeded,
    EngineClosed,
    EngineCrashed,
    EngineError,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Overloaded,
    RequestError,
    SamplingParams,
    StepBatch,
)
from enginebay_core.engine import QueueLimits, StepGenerator
from enginebay_core.engine.loop import EngineLoop
from enginebay_core.engine.mailbox import Mailbox, deliver
from enginebay_core.engine.sequence import Sequence
from enginebay_core.toy import ToyEngine

GREEDY = SamplingParams(temperature=0)
KINDS: tuple[Batching, ...] = ("mixed", "chunk", "single")


@contextmanager
def toy(queue: QueueLimits | None = None, **options: Any) -> Iterator[StepGenerator]:
    generator = StepGenerator(ToyEngine(**options), "toy", queue)
    try:
        yield generator
    finally:
        generator.close()


@asynccontextmanager
async def steps_of(
    generator: StepGenerator, request: GenerationRequest
) -> AsyncIterator[AsyncIterator[GenerationStep]]:
    steps = generator.generate(request)
    try:
        yield steps
    finally:
        await steps.aclose()


async def ids_of(generator: StepGenerator, request: GenerationRequest) -> list[int]:
    return [token async for step in generator.generate(request) for token in step.ids]


def ask(prompt: int, max_tokens: int = 20, **fields: Any) -> GenerationRequest:
    """A request whose prompt has as many ids as ``prompt`` says, and begins with it."""
    ids = tuple((prompt + i * 7) % 250 for i in range(prompt))
    return GenerationRequest(ids, max_tokens, **{"sampling": GREEDY, **fields})


async def settle(generator: StepGenerator) -> None:
    for _ in range(200):
        if generator.running == generator.waiting == len(generator._loop._open) == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(
        f"{generator.running} running, {generator.waiting} waiting, {generator._loop._open} open"
    )


@pytest.mark.parametrize("batching", KINDS)
async def test_together_gives_what_alone_gave(batching: Batching) -> None:
    lengths = [1, 2, 30, 299, 256, 257, 517, 700, 9, 64]
    requests = [ask(length, 5 + 3 * i) for i, length in enumerate(lengths)]
    with toy(max_sequences=4, batching=batching) as generator:
        alone = [await ids_of(generator, request) for request in requests]
        together = await asyncio.gather(*(ids_of(generator, request) for request in requests))
        await settle(generator)
    assert list(together) == alone
    assert len({tuple(ids) for ids in alone}) == len(alone)


async def test_the_three_kinds_agree() -> None:
    answers = []
    for batching in KINDS:
        with toy(batching=batching) as generator:
            answers.append(await asyncio.gather(*(ids_of(generator, ask(n)) for n in (3, 600, 8))))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("batching", KINDS)
async def test_seeds_do_not_care_about_neighbours(batching: Batching) -> None:
    sampling = SamplingParams(temperature=1.5, seed=11, top_p=0.95)
    request = ask(12, sampling=sampling)
    with toy(max_sequences=8, batching=batching) as generator:
        alone = await ids_of(generator, request)
        others = [ask(12, sampling=SamplingParams(seed=s)) for s in range(7)]
        crowd = await asyncio.gather(*(ids_of(generator, r) for r in [*others, request]))
        other_choice = await ids_of(generator, ask(12, sampling=sampling, choice=1))
    assert crowd[-1] == alone
    assert other_choice != alone


async def test_no_seed_means_a_new_one_each_time() -> None:
    request = ask(5, sampling=SamplingParams(temperature=2.0))
    with toy() as generator:
        assert await ids_of(generator, request) != await ids_of(generator, request)


async def test_a_long_prompt_does_not_stop_those_who_decode() -> None:
    with toy(step_seconds=0.002) as generator:
        async with steps_of(generator, ask(4, 400)) as running:
            await anext(running)
            before = generator.steps
            first = asyncio.create_task(anext(generator.generate(ask(1500, 1))))
            while not first.done():
                await anext(running)
            assert generator.steps - before >= 2


async def test_ends_at_max_tokens_with_length() -> None:
    with toy() as generator:
        steps = [step async for step in generator.generate(ask(4, 3))]
    assert [len(step.ids) for step in steps] == [1, 1, 1]
    assert [step.finish for step in steps] == [None, None, FinishReason.LENGTH]


async def test_a_stop_id_ends_and_is_not_output() -> None:
    with toy() as generator:
        free = await ids_of(generator, ask(4))
        index = next(i for i in range(3, 20) if free[i] not in free[:i])
        steps = [
            step async for step in generator.generate(ask(4, stop_ids=frozenset({free[index]})))
        ]
    assert [token for step in steps for token in step.ids] == free[:index]
    assert (steps[-1].ids, steps[-1].finish) == ((), FinishReason.STOP)


async def test_min_tokens_keeps_stop_ids_away() -> None:
    with toy() as generator:
        free = await ids_of(generator, ask(4))
        stop = frozenset({free[0]})
        assert await ids_of(generator, ask(4, stop_ids=stop)) == []
        ids = await ids_of(generator, ask(4, stop_ids=stop, min_tokens=6))
    assert len(ids) >= 6
    assert free[0] not in ids[:6]


async def test_logprobs_come_with_their_ids() -> None:
    request = ask(4, 3, sampling=SamplingParams(temperature=0, logprobs=2))
    with toy() as generator:
        steps = [step async for step in generator.generate(request)]
    for step in steps:
        (own, best, second) = step.logprobs[0]
        assert own.id == best.id == step.ids[0]
        assert own.logprob == best.logprob >= second.logprob


async def test_leaving_frees_the_room() -> None:
    with toy(max_sequences=1, step_seconds=0.005) as generator:
        async with steps_of(generator, ask(4, 2000)) as steps:
            await anext(steps)
        before = generator.steps
        assert len(await ids_of(generator, ask(5, 2))) == 2
        assert generator.steps - before <= 4
        await settle(generator)


async def test_leaving_while_waiting_frees_the_place() -> None:
    with toy(max_sequences=1, step_seconds=0.005) as generator:
        async with steps_of(generator, ask(4, 100)) as running:
            await anext(running)
            waiting = asyncio.create_task(ids_of(generator, ask(5)))
            await asyncio.sleep(0.05)
            assert generator.waiting == 1
            waiting.cancel()
            await asyncio.sleep(0.05)
            assert generator.waiting == 0


async def test_a_failing_step_ends_its_requests_and_no_others() -> None:
    with toy(max_sequences=2, step_seconds=0.01, raise_at_step=100) as generator:
        running = [generator.generate(ask(n, 1000)) for n in (4, 5)]
        for steps in running:
            await anext(steps)
        waiting = asyncio.create_task(ids_of(generator, ask(6, 5)))
        for steps in running:
            with pytest.raises(EngineError, match="'toy'"):
                async for _ in steps:
                    pass
        assert len(await waiting) == 5
        await settle(generator)


class Sick(ToyEngine):
    """Fails on each prompt of 13 ids, and when ``well`` is False on everything."""

    well = True

    def forward(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        if not self.well or any(len(row.ids) == 13 for row in batch.rows):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().forward(batch)


async def test_an_engine_that_fails_every_request_is_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Sick(max_sequences=2, step_seconds=0.01)
    generator = StepGenerator(engine, "toy")
    running = asyncio.create_task(ids_of(generator, ask(4, 500)))
    await asyncio.sleep(0.05)
    engine.well = False
    with pytest.raises(EngineError, match="failed on this request"):
        await running
    await asyncio.to_thread(generator.close)
    reason = "backend 'toy' is broken: it failed on a request, and then on a single id of ours"
    with pytest.raises(EngineCrashed, match=reason):
        await ids_of(generator, ask(7))
    assert sum(reason in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("batching", ["single", "chunk", "mixed"])
async def test_requests_that_fail_break_no_engine(batching: Any) -> None:
    """However many come, and whoever waits meanwhile."""
    generator = StepGenerator(Sick(batching=batching, max_sequences=2), "toy")
    expected = await ids_of(generator, ask(4, 50))
    waiting = [asyncio.create_task(ids_of(generator, ask(4, 50))) for _ in range(4)]
    for _ in range(10):
        with pytest.raises(EngineError, match="failed on this request"):
            await ids_of(generator, ask(13))
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        assert answer == expected or "failed on this request" in str(answer)
    assert await ids_of(generator, ask(4, 50)) == expected
    assert generator.broken is None
    generator.close()


async def test_a_full_queue_refuses_at_once() -> None:
    with toy(QueueLimits(length=2), max_sequences=1, step_seconds=0.01) as generator:
        asked = [asyncio.create_task(ids_of(generator, ask(n, 20))) for n in range(2, 12)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert (len(answers) - len(refused), len(refused)) == (3, 7)


async def test_nobody_waits_longer_than_allowed() -> None:
    with toy(QueueLimits(seconds=0.2), max_sequences=1, step_seconds=0.01) as generator:
        running = asyncio.create_task(ids_of(generator, ask(4, 80)))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match=r"no room within 0\.2 s"):
            await ids_of(generator, ask(5))
        assert len(await running) == 80


async def test_closing_ends_what_runs_and_what_waits() -> None:
    with toy(max_sequences=1, step_seconds=0.01) as generator:
        running = [asyncio.create_task(ids_of(generator, ask(n, 500))) for n in (3, 4)]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(generator.close)
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert [type(error) for error in ended] == [EngineClosed, EngineClosed]
        with pytest.raises(EngineClosed):
            await ids_of(generator, ask(3))


async def test_an_engine_that_hangs_still_lets_its_readers_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("enginebay_core.engine.loop.CLOSE_SECONDS", 0.1)
    with toy(hang_at_step=2) as generator:
        reader = asyncio.create_task(ids_of(generator, ask(4)))
        await asyncio.sleep(0.05)
        late = asyncio.create_task(ids_of(generator, ask(5)))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(generator.close)
        for each in (reader, late):
            with pytest.raises(EngineClosed):
                await asyncio.wait_for(each, 5)


async def test_a_loop_that_fails_by_its_own_fault_leaves_nobody_waiting() -> None:
    letters: list[tuple[Any, Any]] = []

    def fail_once(batch: Any) -> None:
        letters.extend(batch)
        if len(letters) == 1:
            raise RuntimeError("the reader's loop is gone")

    loop = EngineLoop(ToyEngine(), "toy", QueueLimits(), fail_once)
    loop.submit(Sequence(ask(4), "reader"))
    for _ in range(100):
        if len(letters) > 1:
            break
        await asyncio.sleep(0.01)
    assert [type(letter) for _, letter in letters] == [GenerationStep, EngineCrashed]
    with pytest.raises(EngineCrashed, match="'toy' is broken"):
        loop.submit(Sequence(ask(4), "another"))


class Odd:
    """Nothing can be asked of it."""

    __hash__ = None  # type: ignore[assignment]  # as in any class with an ``__eq__``

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("the spec is no longer what it was")


@pytest.mark.parametrize(("field", "value"), [("batching", Odd()), ("kv_grain", "1")])
async def test_a_fault_outside_a_step_ends_everything_and_refuses_the_rest(
    field: str, value: object
) -> None:
    """One is met where rows are chosen, the other where a request is given its slot."""
    told: list[str] = []
    engine = ToyEngine(max_sequences=2, step_seconds=0.01)
    loop = EngineLoop(engine, "toy", QueueLimits(), deliver, told.append)

    async def read(sequence: Sequence) -> None:
        while (await sequence.mailbox.next()).finish is None:
            pass

    sequences = [Sequence(ask(n, 500), Mailbox()) for n in (4, 5, 6)]
    readers = [asyncio.create_task(read(sequence)) for sequence in sequences]
    for sequence in sequences[:1]:
        loop.submit(sequence)
    await asyncio.sleep(0.05)
    object.__setattr__(engine.spec, field, value)
    for sequence in sequences[1:]:
        loop.submit(sequence)
    ended = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 5)
    assert [type(error) for error in ended] == [EngineCrashed] * 3
    assert str(ended[0]).startswith("backend 'toy' is broken: what runs its steps failed")
    with pytest.raises(EngineCrashed, match="'toy' is broken"):
        loop.submit(Sequence(ask(4), Mailbox()))
    loop.close()
    assert told == [loop.broken]


async def test_those_who_leave_are_no_newcomers() -> None:
    """Their leaving waits for the engine's thread, as arrivals do, and takes nobody's place."""
    with toy(QueueLimits(length=3), max_sequences=1, step_seconds=0.2) as generator:
        async with steps_of(generator, ask(4, 100)) as running:
            await anext(running)
            waiting = [asyncio.create_task(ids_of(generator, ask(5))) for _ in range(2)]
            while generator.waiting < 2:
                await anext(running)
            for each in waiting:
                each.cancel()
            last = asyncio.create_task(ids_of(generator, ask(6, 1)))
            await asyncio.sleep(0)
            await asyncio.gather(*waiting, return_exceptions=True)
        assert len(await last) == 1


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerationRequest((), 1), "prompt"),
        (GenerationRequest((259,), 1), "prompt"),
        (GenerationRequest((-1,), 1), "prompt"),
        (GenerationRequest((1,), 0), "max_tokens"),
        (GenerationRequest((1,), 4, min_tokens=5), "min_tokens"),
        (GenerationRequest((1,), 1, SamplingParams(logit_bias={259: 1.0})), "logit_bias"),
    ],
)
async def test_bad_requests_never_reach_the_engine(request_: GenerationRequest, param: str) -> None:
    with toy() as generator:
        with pytest.raises(RequestError) as raised:
            await ids_of(generator, request_)
        assert raised.value.param == param
        assert generator.steps == 0


async def test_the_context_is_a_limit_to_the_id() -> None:
    with toy(max_length=16) as generator:
        assert generator.limits.context_length == 16
        assert len(await ids_of(generator, ask(10, 6))) == 6
        with pytest.raises(ContextLengthExceeded, match="16 tokens; the prompt has 10 and 7"):
            await ids_of(generator, ask(10, 7))


async def test_requests_of_one_burst_begin_in_one_step() -> None:
    with toy(max_sequences=4, step_seconds=0.2) as generator:
        await ids_of(generator, ask(4, 3))  # from it the engine learns what a step costs
        before = generator.steps
        first = asyncio.create_task(ids_of(generator, ask(30, 3)))
        await asyncio.sleep(0.003)
        await asyncio.gather(first, ids_of(generator, ask(40, 3)))
        assert generator.steps - before == 3
