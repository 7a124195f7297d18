"""An engine with a scheduler of its own is watched by the steps that it counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from enginebay_core.api import GenerationRequest, GenerationStep, Limits
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.hosts import GeneratorHost
from enginebay_core.plugins import BACKENDS

from .faulty import ask, opened, outcome, until


class Patient:
    """Never comes to an id. ``sorry``: it fails once more when it is asked to stop."""

    def __init__(self, *, sorry: bool = False) -> None:
        self.limits = Limits(256, 128)
        self._sorry = sorry

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        try:
            await asyncio.Event().wait()
            yield GenerationStep((7,))
        finally:
            if self._sorry:
                raise RuntimeError("it was not to be disturbed")

    def close(self) -> None:
        """Nothing to let go of."""


class Reports:
    """What a host has said."""

    def __init__(self) -> None:
        self.batches: list[wire.Batch] = []

    def __call__(self, report: wire.Report) -> None:
        assert isinstance(report, wire.Batch)
        self.batches.append(report)

    @property
    def gone(self) -> set[int]:
        return {number for batch in self.batches for number in batch.gone}


@pytest.mark.parametrize("sorry", [False, True])
@pytest.mark.parametrize("early", [False, True])
async def test_whoever_is_cancelled_is_told_as_gone(early: bool, sorry: bool) -> None:
    """Also before its first turn, as where a step holds Python's lock: its number would count as
    work for ever, and the process as hung.
    """
    reports = Reports()
    host = GeneratorHost(Patient(sorry=sorry), "patient", reports)
    for number in range(20):
        if early:
            host._loop.call_soon_threadsafe(time.sleep, 0.01)
        host.start(number, ask())
        if not early:
            await until(lambda number=number: number in host._tasks)  # type: ignore[misc]
            await asyncio.sleep(0.01)
        host.cancel(number)
    await until(lambda: reports.gone == set(range(20)))
    assert host.work().running == 0
    host.close()


CODE = """
import asyncio
from enginebay_core.api import Capabilities, FinishReason, GenerationStep, Limits
from enginebay_core.toy import ToyBackend

class Quiet:
    limits = Limits(256, 128)

    async def generate(self, request):
        for _ in range(12):
            await asyncio.sleep(0.5)
            self.took_a_step()
        yield GenerationStep((7,), FinishReason.LENGTH)

    def took_a_step(self):
        pass

    def close(self):
        pass

class Counting(Quiet):
    steps = 0

    def took_a_step(self):
        self.steps += 1

class Silent(ToyBackend):
    made = Quiet

    def load(self, model, options, progress):
        return self.made()

    def capabilities(self, engine):
        return Capabilities({})

class Counted(Silent):
    made = Counting
"""


@pytest.mark.parametrize("backend", ["silent", "counted"])
async def test_long_steps_that_are_counted_are_no_hang(
    backend: str, install_plugin: Callable[..., Path], temporary: Path
) -> None:
    """Six seconds without an id, in steps of half a second."""
    install_plugin(
        "eb_silent", CODE, BACKENDS, silent="eb_silent:Silent", counted="eb_silent:Counted"
    )
    with opened(backend, deadlines={"load": 30, "compile": 3.0, "step": 3.0}) as model:
        result = await outcome(model, ask(max_tokens=1))
        if backend == "counted":
            assert result == [7]
            assert model.generator.steps >= 12  # type: ignore[attr-defined]  # the process's
        else:
            assert "hung in step 1" in str(result)
