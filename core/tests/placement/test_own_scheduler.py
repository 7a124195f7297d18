"""An engine with a scheduler of its own is watched by the steps that it counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enginebay_core.plugins import BACKENDS

from .faulty import ask, opened, outcome

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
