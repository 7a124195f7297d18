"""Any mix of requests gives each its lone run's ids, loses no room and starves nobody.

The toy's next id is a hash of the ids read back from its KV, so that a slot written at the wrong
place, shared too far or freed too early changes everything that follows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enginebay_core.api import (
    Batching,
    CopyPrefix,
    EngineSpec,
    Free,
    GenerationRequest,
    GenerationStep,
    KvOperation,
    Rewind,
    SamplingParams,
    StepBatch,
)
from enginebay_core.engine.mailbox import Mailbox
from enginebay_core.engine.scheduler import Plan, Scheduler
from enginebay_core.engine.sequence import Sequence
from enginebay_core.toy import ToyEngine

GREEDY = SamplingParams(temperature=0)
LENGTH = 160


class World:
    """A scheduler over a toy engine, stepped by hand; every step is checked."""

    def __init__(self, **spec: Any) -> None:
        slots = spec.get("max_sequences", 4)
        self.engine = ToyEngine(max_sequences=slots, max_length=LENGTH)
        kept = {field: getattr(self.engine.spec, field) for field in EngineSpec.__slots__}
        self.spec = EngineSpec(**{**kept, **spec})
        self.scheduler = Scheduler(self.spec)
        self.answers: dict[Sequence, list[GenerationStep]] = {}
        self.plans: list[Plan] = []
        self.per_id = 0.0001
        self._passed: dict[Sequence, int] = {}

    def submit(self, request: GenerationRequest) -> Sequence:
        sequence = Sequence(request, _mailbox())
        self.answers[sequence] = []
        self.scheduler.add(sequence)
        return sequence

    def fail(self, late: bool = False) -> list[Sequence]:
        """A step that the engine raises in, before it did anything or after all of it."""
        plan = self.scheduler.plan()
        if plan is not None and late:
            self.engine.forward(plan.batch)
        return self.scheduler.fail(plan) if plan else []

    def step(self) -> bool:
        plan = self.scheduler.plan()
        if plan is None:
            assert self.scheduler.idle
            return False
        self._check(plan.batch)
        self._check_turns(plan)
        self.plans.append(plan)
        logits = self.engine.forward(plan.batch)
        held = int((self.engine.kv >= 0).sum())  # the toy wipes what it is told to forget
        assert held <= self.spec.kv_bytes // self.spec.kv_bytes_per_token
        seconds = 0.001 + self.per_id * plan.prompt_ids
        for sequence, step in self.scheduler.commit(
            plan, self.engine.sample(logits, plan.sample_rows), seconds
        ):
            assert isinstance(step, GenerationStep)
            self.answers[sequence].append(step)
        return True

    def run(self, limit: int = 20_000) -> None:
        for _ in range(limit):
            if not self.step():
                return
        raise AssertionError("it never ends")

    def output(self, sequence: Sequence) -> list[int]:
        return [token for step in self.answers[sequence] for token in step.ids]

    def _check(self, batch: StepBatch) -> None:
        """What the protocol promises the engine."""
        slots = [row.slot for row in batch.rows]
        assert len(set(slots)) == len(slots) > 0
        assert all(row.ids and row.start + len(row.ids) <= LENGTH for row in batch.rows)
        many = [row for row in batch.rows if len(row.ids) > 1]
        if self.spec.batching != "mixed":
            assert len(many) in (0, len(batch.rows))
        if self.spec.batching == "single" and many:
            assert len(batch.rows) == 1
        for operation in batch.operations:
            self._check_operation(operation)

    def _check_turns(self, plan: Plan) -> None:
        """Who decodes is never passed over twice, and the oldest gets on with nearly every
        prefill, or with every second where a step takes one prompt.
        """
        running = self.scheduler._running
        self._passed = {
            sequence: 0 if sequence in plan.sequences else self._passed.get(sequence, 0) + 1
            for sequence in running
        }
        assert self._passed[running[0]] <= (3 if self.spec.batching == "single" else 1)
        for sequence, passed in self._passed.items():
            assert not sequence.decoding or passed <= (self.spec.batching != "mixed")

    def _check_operation(self, operation: KvOperation) -> None:
        if isinstance(operation, CopyPrefix):
            assert self.spec.kv_grain
            assert operation.length % self.spec.kv_grain == 0
            assert operation.source != operation.target
        if isinstance(operation, Rewind):
            assert self.spec.rewind == "any"


def _mailbox() -> Mailbox:
    async def make() -> Mailbox:
        return Mailbox()

    return asyncio.run(make())


def ask(prompt: list[int], max_tokens: int = 8, **fields: Any) -> GenerationRequest:
    return GenerationRequest(tuple(prompt), max_tokens, **{"sampling": GREEDY, **fields})


def lone(request: GenerationRequest) -> list[int]:
    world = World(max_sequences=1)
    sequence = world.submit(request)
    world.run()
    return world.output(sequence)


prompts = st.builds(
    lambda family, shared, own: [family, *([family + 1] * shared), *own],
    st.integers(0, 2),
    st.integers(0, 60),
    st.lists(st.integers(0, 3), max_size=30),
)
requests = st.builds(
    lambda prompt, count, salt, seed, choice: ask(
        prompt,
        count,
        cache_salt=salt,
        choice=choice,
        sampling=SamplingParams(temperature=0 if seed is None else 1.2, seed=seed or 0),
    ),
    prompts,
    st.integers(1, 40),
    st.sampled_from(["", "", "other"]),
    st.one_of(st.none(), st.integers(0, 5)),
    st.integers(0, 2),
)
LONGEST = 1 + 60 + 30 + 40
"""Ids of the longest of these."""


@settings(max_examples=150, deadline=None)
@given(
    wanted=st.lists(st.tuples(requests, st.integers(0, 12), st.integers(0, 30)), max_size=12),
    per_id=st.sampled_from([1e-6, 1e-5, 1e-4, 1e-3]),
    spec=st.fixed_dictionaries(
        {
            "batching": st.sampled_from(["mixed", "chunk", "single"]),
            "max_sequences": st.integers(1, 4),
            "kv_bytes": st.integers(LONGEST, 4 * LENGTH).map(lambda room: 8 * room),
            "kv_grain": st.sampled_from([0, 1, 8]),
            "rewind": st.sampled_from(["any", "none"]),
        }
    ),
)
def test_every_request_gets_its_lone_runs_ids(
    wanted: list[tuple[GenerationRequest, int, int]], per_id: float, spec: dict[str, Any]
) -> None:
    """Random arrivals, lengths, prefixes, costs, memory sizes, leaving clients, failing steps."""
    world = World(**spec)
    world.per_id = per_id
    left: list[Sequence] = []
    stayed: list[tuple[GenerationRequest, Sequence]] = []
    for request, pause, leaves in wanted:
        sequence = world.submit(request)
        for _ in range(pause):
            world.step()
        if leaves < 10:
            world.scheduler.drop(sequence)
            left.append(sequence)
        else:
            stayed.append((request, sequence))
        if leaves in (11, 12):
            left += world.fail(late=leaves == 12)
    world.run()
    stayed = [(request, sequence) for request, sequence in stayed if sequence not in left]
    for request, sequence in stayed:
        assert world.output(sequence) == lone(request)
        assert world.answers[sequence][-1].finish is not None
    assert world.scheduler.running == world.scheduler.waiting == 0
    require_all_room(world)


def require_all_room(world: World) -> None:
    """As many as there are slots begin at once, and the longest of all still fits."""
    slots = world.spec.max_sequences
    for number in range(slots):
        world.submit(ask([240 + number, 1], 2))
    world.step()
    assert world.scheduler.running == slots
    world.scheduler.drain()
    longest = world.submit(ask([250], world.spec.context_length - 1))
    world.run()
    assert len(world.output(longest)) == world.spec.context_length - 1


@pytest.mark.parametrize("kv_bytes", [8 * LENGTH, 32 * LENGTH])
@pytest.mark.parametrize("batching", ["mixed", "chunk", "single"])
def test_a_long_request_gets_through_endless_short_ones(batching: Batching, kv_bytes: int) -> None:
    """Some of which begin as it does, or as each other; with memory for it alone, and for all."""
    world = World(batching=batching, kv_bytes=kv_bytes, max_sequences=3)
    shared = [(11 * i) % 250 for i in range(40)]
    for number in range(3):
        world.submit(ask([number], 20))
    long = world.submit(ask([*shared, *range(80)], 30))
    for number in range(400):
        begins = ([], shared, [7] * 40)[number % 3]
        world.submit(ask([*begins, number % 250, 5], 3))
        world.step()
        if long.finished:
            break
    assert world.output(long) == lone(long.request)


def conversations(seed: int) -> Iterator[list[int]]:
    """Turns of a chat: each prompt begins with the one before and its answer."""
    noise = random.Random(seed)
    ids = [noise.randrange(200) for _ in range(40)]
    while len(ids) < 100:
        yield list(ids)
        ids += lone(ask(ids)) + [noise.randrange(200) for _ in range(5)]


def test_the_next_turn_goes_on_in_its_slot() -> None:
    world = World()
    prefilled = []
    for prompt in conversations(1):
        before = len(world.plans)
        sequence = world.submit(ask(prompt))
        world.run()
        assert world.output(sequence) == lone(ask(prompt))
        prefilled.append(sum(plan.prompt_ids for plan in world.plans[before:]))
        cached = world.answers[sequence][0].cached_tokens
        assert cached == len(prompt) - prefilled[-1]
    assert prefilled[0] == 40
    assert max(prefilled[1:]) <= 6  # five new ids, and the one that was sampled last
    assert not [
        op for plan in world.plans for op in plan.batch.operations if isinstance(op, CopyPrefix)
    ]


def test_a_shared_beginning_is_copied_and_computed_once() -> None:
    world = World()
    system = [(7 * i) % 250 for i in range(60)]
    first = world.submit(ask([*system, 1, 2, 3], 30))
    world.step()
    others = [world.submit(ask([*system, 9, i], 30)) for i in range(3)]
    world.run()
    computed = sum(plan.prompt_ids for plan in world.plans)
    assert computed <= 63 + 3 * 2 + 1
    for sequence in [first, *others]:
        assert world.output(sequence) == lone(sequence.request)


def test_choices_of_one_prompt_share_its_prefill() -> None:
    """They arrive together: the others wait for the first one's prefill instead of repeating it."""
    world = World()
    prompt = [(3 * i) % 250 for i in range(100)]
    sampling = SamplingParams(temperature=1.5, seed=4)
    choices = [world.submit(ask(prompt, 6, sampling=sampling, choice=i)) for i in range(4)]
    world.run()
    assert sum(plan.prompt_ids for plan in world.plans) <= 100 + 3
    outputs = [tuple(world.output(choice)) for choice in choices]
    assert len(set(outputs)) == 4
    assert [list(o) for o in outputs] == [lone(choice.request) for choice in choices]


def test_another_tenants_work_is_not_shared() -> None:
    world = World()
    prompt = list(range(80))
    for salt in ("a", "b", "a"):
        world.submit(ask(prompt, 2, cache_salt=salt))
        world.run()
    cached = [steps[0].cached_tokens for steps in world.answers.values()]
    assert cached == [0, 0, 79]


def test_the_least_recently_used_chat_gives_way() -> None:
    world = World(max_sequences=2)
    chats = [[i] * 40 for i in (1, 2)]
    for prompt in [*chats, chats[0]]:
        world.submit(ask(prompt, 2))
        world.run()
    world.submit(ask([3] * 40, 2))
    world.run()
    again = [world.submit(ask(chats[0], 2)), world.submit(ask(chats[1], 2))]
    world.run()
    assert [world.answers[s][0].cached_tokens for s in again] == [39, 0]


def test_short_memory_sends_the_last_back_and_all_get_through() -> None:
    world = World(max_sequences=4, kv_bytes=8 * LENGTH)
    wanted = [ask([i] * 20, 100) for i in range(4)]
    sequences = [world.submit(request) for request in wanted]
    world.run()
    assert [world.output(s) for s in sequences] == [lone(request) for request in wanted]
    held = [sum(row.start + len(row.ids) for row in plan.batch.rows) for plan in world.plans]
    assert max(held) <= LENGTH


def test_a_copy_that_does_not_fit_beside_its_source_is_not_made() -> None:
    """Such an engine cannot cut the source back either, so the source has to go."""
    world = World(max_sequences=2, kv_bytes=8 * LENGTH, rewind="none")
    shared = [1] * 60
    world.submit(ask([*shared, *range(30)], 20))
    world.run()
    second = world.submit(ask([*shared, 99], 30))
    world.run()
    assert world.output(second) == lone(second.request)


def test_a_failed_step_takes_those_with_it_whose_copy_it_was_to_make() -> None:
    """Its slot counts as filled, but the engine never got to it."""
    world = World(max_sequences=6)
    shared = [3] * 40
    world.submit(ask([*shared, 1], 40))
    world.run()
    decoding = world.submit(ask([9], 150))
    for _ in range(5):
        world.step()
    prompts = [list(range(100, 200)), list(range(50, 70)), [*shared, *range(5, 80)]]
    others = [world.submit(ask(prompt, 2)) for prompt in prompts]
    plan = world.scheduler.plan()
    assert plan is not None
    assert others[-1] not in plan.sequences  # its row comes later, its copy is in this step
    assert any(isinstance(operation, CopyPrefix) for operation in plan.batch.operations)
    assert set(world.scheduler.fail(plan)) == {decoding, *others}
    again = world.submit(ask(prompts[-1], 5))
    world.run()
    assert world.output(again) == lone(again.request)


def test_a_failed_step_leaves_nothing_of_what_was_to_be_forgotten() -> None:
    """Its operations may not have been done: room that was freed is freed again."""
    world = World(max_sequences=2, kv_bytes=8 * LENGTH)
    leaves, _ = world.submit(ask([1] * 5, 20)), world.submit(ask([2] * 100, 2))
    world.step()
    world.scheduler.drop(leaves, keep=False)
    world.run()
    fresh = world.submit(ask([4] * 90, 20))  # to take the first slot, and the second one's room
    assert world.fail() == [fresh]
    again = world.submit(ask([3] * 90, 60))
    world.run()  # which looks at what the toy holds
    assert world.output(again) == lone(again.request)


def test_a_failed_step_spares_whose_slot_it_only_freed() -> None:
    world = World(max_sequences=4, kv_bytes=8 * LENGTH)
    world.submit(ask([1] * 60, 2))
    world.run()
    decoding = world.submit(ask([9], 60))
    for _ in range(5):
        world.step()
    *others, last = [world.submit(ask(prompt, 2)) for prompt in ([5] * 50, [6] * 16, [7] * 40)]
    plan = world.scheduler.plan()
    assert plan is not None
    assert last.slot is not None
    assert plan.batch.operations == (Free(last.slot.number),)
    assert last not in plan.sequences
    assert set(world.scheduler.fail(plan)) == {decoding, *others}
    world.run()
    assert world.output(last) == lone(last.request)


def test_a_short_prompt_passes_a_long_one() -> None:
    world = World()
    decoding = world.submit(ask([9], 150))
    for _ in range(5):
        world.step()
    long = world.submit(ask([(5 * i) % 250 for i in range(150)], 2))
    short = world.submit(ask([200, 201, 202], 2))
    while not world.answers[short]:
        world.step()
    assert not world.answers[long]
    world.run()
    assert world.output(decoding) == lone(decoding.request)


def test_a_short_prompt_passes_long_ones_where_a_step_takes_one() -> None:
    world = World(batching="single", max_sequences=6)
    longs = [world.submit(ask([i] * 120, 2)) for i in range(5)]
    short = world.submit(ask([200, 201, 202], 2))
    while not world.answers[short]:
        world.step()
    assert [bool(world.answers[long]) for long in longs] == [True, *[False] * 4]


def test_those_who_wait_too_long_are_let_go() -> None:
    world = World(max_sequences=1)
    running, waiting = world.submit(ask([1], 50)), world.submit(ask([2], 50))
    world.step()
    assert world.scheduler.expire(before=waiting.since + 1) == [waiting]
    world.run()
    assert len(world.output(running)) == 50


def test_who_was_sent_back_before_the_first_id_is_not_let_go() -> None:
    world = World(max_sequences=2, kv_bytes=8 * LENGTH)
    world.per_id = 0.01  # so that its prompt takes many steps
    first = world.submit(ask([1] * 80, 60))
    while not first.output:
        world.step()
    second = world.submit(ask([2] * (LENGTH - len(first.ids) - 1), 4))
    while not (second.begun and second.slot is None):
        world.step()
    assert not second.output
    assert world.scheduler.expire(before=second.since + 1) == []
    world.run()
    assert (len(world.output(first)), len(world.output(second))) == (60, 4)


def test_freed_slots_are_told_to_the_engine() -> None:
    world = World(max_sequences=1, kv_grain=0, rewind="none")
    for prompt in ([1], [2]):
        world.submit(ask(prompt, 2))
        world.run()
    assert world.plans[-2].batch.operations == (Free(0),)


@pytest.mark.parametrize("batching", ["mixed", "chunk", "single"])
def test_decoding_goes_on_beside_a_long_prompt(batching: Batching) -> None:
    world = World(batching=batching)
    decoding = world.submit(ask([9], 60))
    for _ in range(10):
        world.step()
    world.submit(ask(list(range(150)), 2))
    gaps, since = [0], 0
    while len(world.answers[decoding]) < 60:
        before = len(world.answers[decoding])
        world.step()
        since = 0 if len(world.answers[decoding]) > before else since + 1
        gaps.append(since)
    assert max(gaps) <= 1


def test_stats_tell_how_full_it_is_and_what_was_found() -> None:
    world = World(max_sequences=2)
    room = 2 * LENGTH
    first = world.submit(ask([7] * 40, 2))
    second = world.submit(ask([8] * 10, 30))
    third = world.submit(ask([9], 1))
    world.step()
    stats = world.scheduler.stats
    assert (stats.running, stats.waiting) == (2, 1)
    held = first.computed + second.computed
    assert held > 0
    assert (stats.kv_used, stats.kv_kept) == (held / room, 0)
    assert (stats.prefix_asked, stats.prefix_found) == (50, 0)
    world.run()
    assert world.output(third)
    again = world.submit(ask([8] * 10 + world.output(second) + [1], 1))
    world.run()
    stats = world.scheduler.stats
    assert (stats.running, stats.waiting, stats.kv_used) == (0, 0, 0)
    assert stats.kv_kept is not None
    assert 0 < stats.kv_kept <= 1
    found = 39  # the second's last id was never run
    assert (stats.prefix_asked, stats.prefix_found) == (51 + len(again.request.prompt), found)


def test_stats_count_those_who_were_sent_back_to_wait() -> None:
    world = World(max_sequences=2, kv_bytes=60, kv_bytes_per_token=1)
    for prompt in ([1] * 20, [2] * 20):
        world.submit(ask(prompt, 30))
    world.run()
    assert world.scheduler.stats.preemptions


@pytest.mark.parametrize("batching", ["mixed", "chunk"])
def test_the_gap_beside_a_long_prompt_is_under_three_decode_steps(batching: Batching) -> None:
    """In seconds, once costs are known: prompts that run apart read the weights once more."""
    world = World(batching=batching)
    decoding = world.submit(ask([9], 150))
    for number in range(3):
        teaching = world.submit(ask([number] * 40, 1))
        while not teaching.finished:
            world.step()
    long = world.submit(ask(list(range(150)), 2))
    gaps = [0.0]
    while not long.finished:
        world.step()
        plan = world.plans[-1]
        gaps[-1] += 0.001 + world.per_id * plan.prompt_ids
        if decoding in plan.sequences:
            gaps.append(0.0)
    assert 0.002 < max(gaps) < 0.003
