"""A backend in a process of its own answers as it does in ours."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import (
    ConfigError,
    ContextLengthExceeded,
    EngineClosed,
    EngineStats,
    GenerationRequest,
    Overloaded,
    RequestError,
    SamplingParams,
)
from enginebay_core.placement import RunningModel
from enginebay_core.placement.process.child import ChildFormat
from enginebay_core.placement.process.environment import child_environment
from enginebay_core.plugins import BACKENDS
from enginebay_core.testing.traces import left_since, traces

from .faulty import ask, asking, left_in, opened, outcome, steps_of, until

SAMPLED = SamplingParams(
    temperature=1.3,
    top_p=0.9,
    top_k=40,
    min_p=0.01,
    presence_penalty=0.3,
    frequency_penalty=0.2,
    repetition_penalty=1.1,
    logit_bias={101: -5.0, 102: 3.5},
    seed=-(2**63),
    logprobs=3,
)


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    with opened("toy") as model:
        yield model


@pytest.fixture(scope="module")
def inline() -> Iterator[RunningModel]:
    with opened("toy", placement="inline") as model:
        yield model


@pytest.mark.parametrize(
    "request_",
    [
        ask(max_tokens=40),
        ask(101, 40, SAMPLED),
        ask(102, 40, SAMPLED, choice=3),
        ask(103, 60, stop_ids=frozenset(range(32, 70)), min_tokens=5),
        ask(104, 1, SamplingParams(temperature=0, logprobs=0), cache_salt="tenant"),
    ],
)
async def test_steps_are_those_of_inline(
    toy: RunningModel, inline: RunningModel, request_: GenerationRequest
) -> None:
    assert await steps_of(toy, request_) == await steps_of(inline, request_)


async def test_what_is_published_is_the_same(toy: RunningModel, inline: RunningModel) -> None:
    assert toy.generator.limits == inline.generator.limits
    assert toy.capabilities == inline.capabilities
    assert (toy.template, toy.defaults, toy.stop_ids) == (
        inline.template,
        inline.defaults,
        inline.stop_ids,
    )


async def test_stats_arrive_with_the_beats() -> None:
    with opened("toy", options={"step_seconds": 0.01, "max_sequences": 2}) as model:
        running = [asyncio.create_task(outcome(model, ask(i, 250))) for i in (1, 2, 3)]
        await until(lambda: model.stats.waiting == 1)
        stats = model.stats
        assert stats.running == 2
        assert stats.kv_used is not None
        assert 0 < stats.kv_used < 1
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for _ in range(2):
            await outcome(model, GenerationRequest(tuple(range(50, 110)), 3))
        await until(lambda: bool(model.stats.prefix_found))
        assert model.stats.running == 0
        assert (model.stats.kv_used, model.restarts and model.restarts()) == (0, 0)


async def test_what_tells_nonsense_of_itself_tells_nothing(
    install_plugin: Callable[..., Path], temporary: Path
) -> None:
    odd = OWN_SCHEDULER.replace(
        "def close", "stats = property(lambda self: 1 / 0)\n        def close"
    )
    install_plugin("eb_odd", odd, BACKENDS, odd="eb_odd:Backend")
    for placement in ("process", "inline"):
        with opened("odd", placement=placement) as model:
            assert await outcome(model, ask(10, 2)) == [10] * 2
            assert model.stats.kv_used is None


async def test_what_serves_is_identified_alike(toy: RunningModel, inline: RunningModel) -> None:
    assert toy.identity == inline.identity
    assert toy.identity.versions["enginebay-core"]


async def test_many_at_once_are_kept_apart(toy: RunningModel, inline: RunningModel) -> None:
    requests = [ask(32 + index, 50) for index in range(40)]
    alone = [await outcome(inline, request) for request in requests]
    assert await asyncio.gather(*(outcome(toy, request) for request in requests)) == alone


async def test_errors_keep_type_param_and_words(toy: RunningModel, inline: RunningModel) -> None:
    for request in (ask(-1), ask(max_tokens=0), ask(max_tokens=10**9), ask(min_tokens=9)):
        there, here = await outcome(toy, request), await outcome(inline, request)
        assert isinstance(there, RequestError)
        assert isinstance(here, RequestError)
        assert (type(there), str(there), there.param) == (type(here), str(here), here.param)
    assert isinstance(await outcome(toy, ask(max_tokens=10**9)), ContextLengthExceeded)


async def test_the_queue_is_bounded_there_too() -> None:
    slow = {"max_sequences": 1, "step_seconds": 0.02}
    with opened("toy", options=slow, queue={"length": 1, "seconds": 30}) as model:
        results = await asyncio.gather(*(outcome(model, ask(40 + i, 8)) for i in range(4)))
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert len(refused) == 2
        assert "wait for backend 'toy' already" in str(refused[0])


async def test_leaving_frees_the_room_at_once() -> None:
    slow = {"max_sequences": 1, "step_seconds": 0.05}
    with opened("toy", options=slow) as model:
        async with aclosing(model.generator.generate(ask(max_tokens=1000))) as steps:
            await anext(steps)
            waiting = asyncio.create_task(outcome(model, ask(101, 1)))
            await asyncio.sleep(0.06)
            left = time.monotonic()
        await waiting
        assert time.monotonic() - left < 0.05 * 4
        async with aclosing(model.generator.generate(ask(max_tokens=1000))):
            pass  # left before the first step
        started = asyncio.create_task(outcome(model, ask(max_tokens=1000)))
        await asyncio.sleep(0.02)
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        await wait_idle(model)


async def wait_idle(model: RunningModel) -> None:
    generator: Any = model.generator
    await until(lambda: generator.running + generator.waiting == 0, 1.0)


async def test_closing_ends_what_runs_and_leaves_nothing(temporary: Path) -> None:
    with opened("toy"):
        pass  # what libraries make once
    before = traces()
    with opened("toy", options={"step_seconds": 0.02}) as model:
        assert left_in(temporary) == []
        running = [asyncio.create_task(outcome(model, ask(40 + i, 1000))) for i in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(model.close)
        assert [type(result) for result in await asyncio.gather(*running)] == [EngineClosed] * 3
        assert isinstance(await outcome(model, ask()), EngineClosed)
        model.close()
    assert left_since(before) == []
    assert left_in(temporary) == []


async def test_a_request_that_fails_fails_alone(faulty: Path) -> None:
    with opened() as model:
        other = await outcome(model, ask())
        assert "'faulty' failed on this request" in str(await outcome(model, asking("raise")))
        assert other == await outcome(model, ask())
        assert isinstance(await outcome(model, asking("leave")), Exception)
        assert await outcome(model, ask()) == other


async def test_a_flood_of_words_drowns_nobody(
    faulty: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """8 MB through a pipe that is read at leisure."""
    caplog.set_level("INFO")
    with opened() as model:
        assert isinstance(await outcome(model, asking("flood")), list)
    lines = [r for r in caplog.records if r.getMessage().startswith("mine: xxx")]
    assert 0 < len(lines) < 1000
    assert max(len(record.getMessage()) for record in lines) < 2100
    assert "more lines were printed" in caplog.text


async def test_the_environment_is_explicit(faulty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "PASSED"):
        monkeypatch.setenv(name, "told")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with opened(pass_env=["PASSED"]) as model:
        facts = dict(model.generator.limits.facts)
    assert facts == {"SECRET": "", "PASSED": "told", "OMP_NUM_THREADS": "1"}


def test_another_python_is_not_led_astray() -> None:
    ours = {"PYTHONPATH": "/ours", "PATH": "/bin", "HF_TOKEN": "x", "CUDA_VISIBLE_DEVICES": "1"}
    assert child_environment(ours, [], own_python=False) == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    assert "PYTHONPATH" in child_environment(ours, [], own_python=True)
    assert child_environment(ours, ["HF_TOKEN"], own_python=True)["HF_TOKEN"] == "x"


OWN_SCHEDULER = """
    import asyncio
    from pathlib import Path
    from enginebay_core.api import (
        EngineOptions, FinishReason, GenerationStep, Limits, RequestError, step_capabilities
    )
    class Engine:
        limits = Limits(vocab_size=300, context_length=800, facts={"kind": "parrot"})
        async def generate(self, request):
            try:
                if request.prompt[0] == 1:
                    raise RequestError("not this", param="prompt", code="no")
                if request.prompt[0] == 2:
                    raise ZeroDivisionError
                for index in range(request.max_tokens):
                    await asyncio.sleep(0.001)
                    ended = FinishReason.LENGTH if index == request.max_tokens - 1 else None
                    yield GenerationStep((request.prompt[0],), ended)
            finally:
                with open(Path(__file__).parent / "left", "a") as file:
                    file.write(f"{request.prompt[0]} ")
        def close(self):
            pass
    class Backend:
        options, tokenizer = EngineOptions, "bytes"
        def load(self, model, options, progress):
            return Engine()
        def capabilities(self, engine):
            return step_capabilities()
"""


async def test_an_engine_with_its_own_scheduler(
    install_plugin: Callable[..., Path], temporary: Path
) -> None:
    site = install_plugin("eb_own", OWN_SCHEDULER, BACKENDS, own="eb_own:Backend")
    with opened("own") as model:
        assert model.generator.limits.facts == {"kind": "parrot"}
        answers = await asyncio.gather(*(outcome(model, ask(10 + i, 20)) for i in range(8)))
        assert answers == [[10 + i] * 20 for i in range(8)]
        refused = await outcome(model, ask(1))
        assert isinstance(refused, RequestError)
        assert (str(refused), refused.param, refused.code) == ("not this", "prompt", "no")
        assert "'own' failed on this request" in str(await outcome(model, ask(2)))
        async with aclosing(model.generator.generate(ask(99, 700))) as steps:
            await anext(steps)
        await wait_idle(model)
        assert model.stats == EngineStats(running=0)  # it tells nothing of itself
        assert (site / "left").read_text().split()[-1] == "99"
    with pytest.raises(ConfigError, match="queues by itself"), opened("own", queue={"length": 3}):
        pass


def test_what_is_no_information_says_its_level() -> None:
    """The server's own log says the rest, and that it is information."""
    shown = [
        ChildFormat().format(logging.LogRecord("x", level, "x.py", 1, "hello", None, None))
        for level in (logging.INFO, logging.WARNING)
    ]
    assert shown == ["hello", "WARNING hello"]
