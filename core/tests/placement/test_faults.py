"""Whatever becomes of a backend's process costs its own requests, and nobody else's."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from enginebay_core.api import (
    ConfigError,
    EngineCrashed,
    EngineError,
    GenerationStep,
    ModelError,
    Overloaded,
    PluginNotFound,
)
from enginebay_core.config import ModelConfig
from enginebay_core.placement import open_model
from enginebay_core.placement.process import supervisor
from enginebay_core.plugins import BACKENDS

from .faulty import (
    answered,
    ask,
    asking,
    family,
    gone,
    left_in,
    opened,
    outcome,
    outcome_of,
    pid_of,
    quiet,
    steps_of,
    until,
)

HASTY = {"load": 30, "compile": 2.0, "step": 2.0}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("segfault", "died of SIGSEGV"),
        (
            "kill",
            r"died of SIGKILL \(killed from outside; the kernel does so when memory runs out\)",
        ),
        ("hang", r"hung in step \d+: for 2 s the step did not end, while its process was alive"),
        ("hold", r"hung in step \d+: for 4 s nothing came from its process, not even a heartbeat"),
    ],
)
async def test_it_is_started_again(faulty: Path, fault: str, said: str) -> None:
    deadlines = {**HASTY, "step": 4.0} if fault == "hold" else HASTY
    with (
        opened(deadlines=deadlines, options={"grandchild": True, "step_seconds": 0.01}) as model,
        opened("toy", options={"step_seconds": 0.01}) as other,
    ):
        expected = await outcome(model, ask(max_tokens=3))
        beside = asyncio.create_task(outcome(other, ask(max_tokens=100)))
        before = family(pid_of(model))
        assert len(before) == 2
        neighbour = model.generator.generate(ask(101, max_tokens=150))
        assert (await anext(neighbour)).ids
        for error in (await outcome(model, asking(fault)), await outcome_of(neighbour)):
            assert isinstance(error, EngineCrashed)
            assert re.search(f"the process of backend 'faulty' {said}", str(error))
        assert model.condition().state == "restarting"
        early = await outcome(model, ask())
        assert isinstance(early, Overloaded)
        assert early.retry_after >= 1
        assert gone(before)
        assert await answered(model, ask(max_tokens=3)) == expected
        assert model.condition().state == "ready"
        assert (model.restarts and model.restarts(), other.restarts and other.restarts()) == (1, 0)
        assert await beside == await outcome(other, ask(max_tokens=100))
        after = family(pid_of(model))
    assert gone(after)
    assert left_in(faulty) == []


async def test_what_breaks_between_two_steps_is_started_again(faulty: Path) -> None:
    """The engine's thread is gone, and the rest of its process well: it would beat for ever."""
    with opened(options={"step_seconds": 0.01}) as model:
        beside = asyncio.create_task(outcome(model, ask(101, max_tokens=1000)))
        await until(lambda: model.stats.running == 1)
        async with asyncio.timeout(10):
            for error in (await outcome(model, asking("spoil")), await beside):
                assert isinstance(error, EngineCrashed)
                assert "backend 'faulty' is broken: what runs its steps failed" in str(error)
            await until(lambda: model.restarts is not None and model.restarts() == 1)
            assert isinstance(await answered(model, ask()), list)
    assert left_in(faulty) == []


async def test_what_breaks_without_a_process_has_failed(faulty: Path) -> None:
    with opened(placement="inline") as model:
        assert isinstance(await outcome(model, ask()), list)
        assert model.condition().state == "ready"
        for request in (asking("spoil"), ask()):
            async with asyncio.timeout(10):
                assert isinstance(await outcome(model, request), EngineCrashed)
        reason = "backend 'faulty' is broken: what runs its steps failed"
        assert model.condition().state == "failed"
        assert str(model.condition().reason).startswith(reason)


@pytest.mark.parametrize("kind", ["steps", "own", "embedder"])
async def test_an_engine_that_fails_every_request_is_started_again(faulty: Path, kind: str) -> None:
    """As after a sticky error of CUDA, with which the process itself lives on."""
    with opened(options={"kind": kind}) as model:
        assert isinstance(await outcome(model, ask()), list)
        error = await outcome(model, asking("sicken"))
        assert type(error) is EngineError
        assert "failed on this" in str(error)
        await until(lambda: model.restarts is not None and model.restarts() == 1)
        assert isinstance(await answered(model, ask()), list)
    assert left_in(faulty) == []


async def test_its_reason_is_told_once_it_has_failed(faulty: Path) -> None:
    with opened(restarts=0) as model:
        assert isinstance(await outcome(model, asking("sicken")), EngineError)
        await until(lambda: model.condition().state == "failed")
        assert str(model.condition().reason).startswith(
            "the process of backend 'faulty' gave up: it failed on a request, and then on"
        )


@pytest.mark.parametrize("kind", ["steps", "own", "embedder"])
async def test_requests_that_fail_cost_no_process(faulty: Path, kind: str) -> None:
    with opened(options={"kind": kind}) as model:
        pid = pid_of(model)
        for _ in range(8):
            assert type(await outcome(model, asking("raise"))) is EngineError
        assert isinstance(await outcome(model, ask()), list)
        assert pid_of(model) == pid


async def test_after_the_last_restart_it_has_failed(faulty: Path) -> None:
    with opened(restarts=1) as model:
        for _ in range(2):
            assert isinstance(await answered(model, asking("exit")), EngineCrashed)
        await until(lambda: model.condition().state == "failed")
        reason = "the process of backend 'faulty' ended by itself with exit code 3"
        assert model.condition().reason == f"{reason}; restarts in ten minutes: 1"
        error = await outcome(model, ask())
        assert isinstance(error, EngineCrashed)
        assert reason in str(error)
    assert left_in(faulty) == []


async def test_where_no_process_can_be_made_it_has_failed_too(
    faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system says to it: a thread that ends would leave it restarting for ever."""
    with opened(restarts=1) as model:
        monkeypatch.setattr(supervisor, "start", no_more_files)
        os.kill(pid_of(model), signal.SIGKILL)
        await until(lambda: model.condition().state == "failed")
        assert str(model.condition().reason).endswith(
            "restarts in ten minutes: 1; the last of them: OSError: [Errno 24] Too many open files"
        )
    assert left_in(faulty) == []


def no_more_files(*_: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_kill_from_outside_is_noticed_while_idle(faulty: Path) -> None:
    with opened() as model:
        os.kill(pid_of(model), signal.SIGKILL)
        await until(lambda: model.condition().state == "restarting")
        assert isinstance(await answered(model, ask()), list)


async def test_steps_before_the_crash_arrive(faulty: Path) -> None:
    with opened() as model:
        whole = await outcome(model, ask(max_tokens=6))
        ids: list[int] = []
        running = model.generator.generate(ask(max_tokens=1000))
        async for step in running:
            ids += step.ids
            if len(ids) == 6:
                os.kill(pid_of(model), signal.SIGSEGV)
                break
        with pytest.raises(EngineCrashed):
            await exhaust(running)
        assert ids == whole


async def test_closing_during_a_restart(faulty: Path) -> None:
    with opened() as model:
        await outcome(model, asking("exit"))
        assert model.condition().state == "restarting"
    assert left_in(faulty) == []


@pytest.mark.parametrize(
    ("config", "kind", "said"),
    [
        ({"options": {"max_len": 1}}, ConfigError, r"models\.mine\.options\.max_len"),
        ({"backend": "faultyy"}, PluginNotFound, "did you mean 'faulty'"),
        ({"model": "no-such"}, ModelError, "'no-such' is no directory"),
        ({"options": {"at_load": "raise"}}, ModelError, "failed to load the model: ZeroDivision"),
        ({"options": {"at_load": "leave"}}, ModelError, "failed to load the model: SystemExit: 7"),
        ({"options": {"at_load": "segfault"}}, ModelError, "died of SIGSEGV .* while"),
        (
            {"options": {"at_load": "hang"}, "deadlines": {"load": 3}},
            ModelError,
            r"no progress for 3 s while loading badly.*models\.mine\.deadlines\.load",
        ),
        ({"python": "/no/such/python"}, ModelError, "'/no/such/python' does not run: No such file"),
    ],
)
def test_what_cannot_start_says_why(
    faulty: Path, config: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=f"(?s){said}"), opened(**config):
        pass
    assert left_in(faulty) == []


def test_another_version_of_core_is_named(faulty: Path, tmp_path: Path) -> None:
    """The interpreter of the config has other messages than ours."""
    code = (
        "from enginebay_core.placement.process import child, wire; import sys; "
        "wire.SHAPES = (); sys.exit(child.main())"
    )
    python = script(tmp_path, f'exec {sys.executable} -c "{code}"')
    with pytest.raises(ModelError, match="does not speak the protocol of this server's"):
        open_model("mine", config_with(python), quiet)


def test_an_interpreter_without_core_is_named(faulty: Path, tmp_path: Path) -> None:
    python = script(tmp_path, f"exec {sys.executable} -I -S $1 -m $5")
    with pytest.raises(
        ModelError, match=r"(?s)No module named .*must have enginebay-core\[process"
    ):
        open_model("mine", config_with(python), quiet)


def test_progress_reaches_the_server(faulty: Path) -> None:
    seen = []

    def watch(stage: str, done: int = 0, total: int = 0) -> None:
        seen.append((stage, done, total))

    config = ModelConfig(backend="faulty", model="toy", placement="process")
    open_model("mine", config, watch).close()
    assert ("starting backend 'faulty'", 0, 0) in seen
    assert ("loading badly", 1, 2) in seen


def test_a_load_can_be_given_up(faulty: Path) -> None:
    class Enough(Exception):
        pass

    def stop(stage: str, done: int = 0, total: int = 0) -> None:
        if stage == "loading badly":
            raise Enough

    config = ModelConfig(
        backend="faulty", model="toy", placement="process", options={"at_load": "hang"}
    )
    with pytest.raises(Enough):
        open_model("mine", config, stop)
    assert left_in(faulty) == []


UNSENDABLE = """
    from enginebay_core.api import Sampled
    from enginebay_core.toy import ToyBackend, ToyEngine
    class Odd:
        pass
    class Engine(ToyEngine):
        def sample(self, logits, rows):
            found = super().sample(logits, rows)
            odd = any(row.prompt[0] == 1 for row in rows)
            return [Sampled(one.id, Odd()) for one in found] if odd else found
    class Backend(ToyBackend):
        def load(self, *arguments):
            return Engine()
"""


async def test_what_cannot_be_sent_is_a_crash_not_a_hang(
    install_plugin: Callable[..., Path], temporary: Path
) -> None:
    install_plugin("eb_odd", UNSENDABLE, BACKENDS, odd="eb_odd:Backend")
    with opened("odd") as model:
        async with asyncio.timeout(10):
            assert "exit code 1" in str(await outcome(model, ask(1)))
        assert isinstance(await answered(model, ask()), list)


async def test_a_compiling_step_may_take_longer(faulty: Path) -> None:
    with opened(deadlines={"compile": 5.0, "step": 0.3}, options={"step_seconds": 0.7}) as model:
        assert len(await steps_of(model, ask(max_tokens=1))) == 1
        assert isinstance(await outcome(model, ask(max_tokens=2)), EngineCrashed)


async def exhaust(steps: AsyncGenerator[GenerationStep, None]) -> None:
    async for _ in steps:
        pass


def config_with(python: Path) -> ModelConfig:
    return ModelConfig(backend="faulty", model="toy", python=str(python))


def script(directory: Path, line: str) -> Path:
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path
