"""Many requests at once: each gets what it gets alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from enginebay_core.api import GenerationRequest, SamplingParams
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.equality import expect_same_texts
from enginebay_core.testing.material import lasting, random_ids, witness_prompts

TRIES = 4


class Concurrency:
    def test_joining_late(self, bench: Bench) -> None:
        """A request that joins while others decode changes neither them nor itself.

        A failure usually means that the newcomer's prefill writes into a running slot, or that a
        batch's positions are recomputed from its longest row. Repair: run
        test_mixed_steps_equal_apart and test_parked_slots_do_not_change first.
        """
        joiner = bench.ask(witness_prompts(bench, 4)[3])
        requests, answers = join(bench, joiner)
        expect_same_texts(bench, requests, answers, "joined one after the other")

    def test_a_long_prompt_beside_short_ones(self, bench: Bench) -> None:
        """A prompt long enough to come in chunks joins texts that decode.

        A failure usually means that chunks of a prompt are mixed up with the decode rows between
        them. Repair: run test_chunks_equal_the_whole_prompt first.
        """
        room = bench.limits.context_length - 16
        lengthy = bench.ask(random_ids(bench, min(room, 600), 300), 12)
        requests, answers = join(bench, lengthy)
        expect_same_texts(bench, requests, answers, "a long prompt beside three that decode")

    def test_room_that_was_left_is_clean(self, bench: Bench) -> None:
        """Requests that take the room of others, who left in mid-text, see nothing of them.

        A failure usually means that a slot keeps its old length, or a sampler its old counts,
        when a request is cancelled. Repair: all state of a sequence begins with the sequence.
        """
        prompts = witness_prompts(bench, 16)
        leavers = [bench.ask(prompt) for prompt in prompts[8:]]
        stayers = [bench.ask(prompt) for prompt in prompts[:8]]
        bench.ask_alone(stayers)
        answers = bench.run(_after_leavers(bench, leavers, stayers))
        expect_same_texts(bench, stayers, answers, "in room that others left")

    def test_sixteen_interleaved(self, bench: Bench) -> None:
        """Sixteen requests of different prompts, lengths and sampling, each as alone.

        A failure here, with the smaller checks passing, usually means state that is kept per row
        of the batch instead of per request, as rows come and go. Repair: key all state by slot or
        by request.
        """
        prompts = witness_prompts(bench, 16)
        requests = [bench.ask(prompt, 3 + 3 * i) for i, prompt in enumerate(prompts)]
        if bench.claims("seed"):
            for index in range(0, 16, 2):
                sampling = SamplingParams(seed=index)
                requests[index] = replace(requests[index], sampling=sampling, choice=index % 3)
        expect_same_texts(bench, requests, bench.together(requests), "one of sixteen")


def join(bench: Bench, joiner: GenerationRequest) -> tuple[list[GenerationRequest], list[Answer]]:
    """Three texts begin one after the other, then ``joiner``. On a step engine it is seen whether
    the others were still running then; if not, all again with longer texts.
    """
    count = lasting(bench)
    for _ in range(TRIES):
        bench.rest()
        requests = [bench.ask(prompt, count) for prompt in witness_prompts(bench, 3)] + [joiner]
        answers = bench.run(_staggered(bench, requests))
        if ran_beside(bench, joiner):
            return requests, answers
        count *= 3
    bench.note("a request that joined late found that the others had ended: they are too quick")
    return requests, answers


def ran_beside(bench: Bench, joiner: GenerationRequest) -> bool:
    """Whether others had rows after the joiner's first; not to be seen of a Generator, and no
    matter where there is one slot.
    """
    if bench.subject.engine is None or bench.subject.engine.spec.max_sequences == 1:
        return True
    rows = [row for batch in bench.subject.engine.batches for row in batch.rows]
    mine = [i for i, row in enumerate(rows) if row.ids[:2] == joiner.prompt[:2] and not row.start]
    return bool(mine) and any(row.slot != rows[mine[0]].slot for row in rows[mine[0] :])


async def _staggered(bench: Bench, requests: list[GenerationRequest]) -> list[Answer]:
    """Each request starts when the one before has brought its first ids."""
    running: list[asyncio.Task[Answer]] = []
    for request in requests:
        begun = asyncio.Event()
        running.append(asyncio.create_task(_announce(bench, request, begun)))
        await begun.wait()
    return list(await asyncio.gather(*running))


async def _announce(bench: Bench, request: GenerationRequest, begun: asyncio.Event) -> Answer:
    try:
        return await bench.answer(request, begun.set)
    finally:
        begun.set()


async def _after_leavers(
    bench: Bench, leavers: list[GenerationRequest], stayers: list[GenerationRequest]
) -> list[Answer]:
    async def leave(request: GenerationRequest) -> None:
        async with bench.open(request) as steps:
            for _ in range(3):
                await anext(steps, None)

    left = [asyncio.create_task(leave(request)) for request in leavers]
    stayed = [asyncio.create_task(bench.answer(request)) for request in stayers]
    await asyncio.gather(*left)
    return list(await asyncio.gather(*stayed))
