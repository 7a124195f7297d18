"""Clients that leave: their room is free at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from enginebay_core.api import GenerationRequest
from enginebay_core.testing.bench import CROWD, Bench
from enginebay_core.testing.equality import expect_same_texts
from enginebay_core.testing.expect import expect
from enginebay_core.testing.marks import step_engines
from enginebay_core.testing.material import random_ids, witness_prompts

LENGTHY = 100_000
PATIENCE_SECONDS = 1.0


class Leaving:
    @step_engines
    def test_leaving_frees_the_slot_within_two_steps(self, bench: Bench) -> None:
        """With all slots taken, closing one iterator lets the next request in within two steps.

        A failure usually means an engine whose steps are not counted one by one. Repair: one
        ``forward`` per step; the scheduler between them is core's.
        """
        slots = min(bench.engine.spec.max_sequences, 32)
        if slots < bench.engine.spec.max_sequences:
            bench.skip(f"{bench.engine.spec.max_sequences} slots are too many to fill here")
        steps = bench.run(_steps_until_admitted(bench, slots))
        expect(steps <= 3, f"the freed slot was given on {steps} steps after its request had left")

    def test_leaving_frees_the_room(self, bench: Bench) -> None:
        """When 32 long requests are left in mid-text, a new one is answered at once.

        A failure usually means that cancelling only stops the reading: the engine works on for
        nobody, until max_tokens. Repair: cancel in the ``finally`` of ``generate``; closing the
        iterator runs it.
        """
        request = bench.ask(random_ids(bench, 6, 400), 2)
        alone = bench.run(_seconds(bench, request))
        allowed = PATIENCE_SECONDS + 5 * alone
        waited = bench.run(_seconds_after_a_crowd(bench))
        expect(
            waited < allowed,
            f"a request waited {waited:.1f} s after {CROWD} others had left; alone it takes "
            f"{alone:.2f} s",
        )

    def test_leaving_before_the_first_step(self, bench: Bench) -> None:
        """A client that leaves before anything came disturbs nobody.

        A failure usually means that a request cancelled while it waits is admitted all the same,
        or that its removal raises. Repair: cancelling must work in every state of a request.
        """
        requests = [bench.ask(prompt) for prompt in witness_prompts(bench, 2)]
        bench.ask_alone(requests)

        async def leave_at_once() -> None:
            started = [asyncio.create_task(bench.answer(bench.ask([1 + i]))) for i in range(8)]
            await asyncio.sleep(0)
            for task in started:
                task.cancel()
            await asyncio.gather(*started, return_exceptions=True)

        bench.run(leave_at_once())
        expect_same_texts(
            bench, requests, bench.together(requests), "after others left before their first step"
        )


async def _steps_until_admitted(bench: Bench, slots: int) -> int:
    """Fill all slots, let one request wait, leave another: in which step the one that waited ran,
    counted from the leaving.
    """
    lengthy = [bench.ask(random_ids(bench, 4, 410 + i), LENGTHY) for i in range(slots)]
    waiting = tuple(random_ids(bench, 5, 409))
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(bench.open(request)) for request in lengthy]
        for steps in running:
            await anext(steps)
        waiter = asyncio.create_task(bench.answer(bench.ask(waiting, 1)))
        await asyncio.sleep(0.005)
        before = len(bench.engine.batches)
        await running[0].aclose()
        await waiter
        batches = bench.engine.batches[before:]
    begun = [any(row.ids == waiting for row in batch.rows) for batch in batches]
    return begun.index(True) + 1 if True in begun else 0


async def _seconds_after_a_crowd(bench: Bench) -> float:
    prompts = [random_ids(bench, 5, 450 + i) for i in range(CROWD)]
    begun = asyncio.Event()
    crowd = [
        asyncio.create_task(bench.answer(bench.ask(prompt, LENGTHY), begun.set))
        for prompt in prompts
    ]
    await begun.wait()
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return await _seconds(bench, bench.ask(random_ids(bench, 6, 401), 2))


async def _seconds(bench: Bench, request: GenerationRequest) -> float:
    start = time.perf_counter()
    await bench.answer(request)
    return time.perf_counter() - start
