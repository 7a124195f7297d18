"""Repetitions of scenarios, contender after contender within each: A B A B."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.benchmarks.contender import Contender, awake
from tests.benchmarks.processes import ChildDied
from tests.benchmarks.results import Measured
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wave import Ask, ShortAnswer


@dataclass(frozen=True)
class Measurement:
    """``contenders`` hold still but for the one that is asked. Who fails in a scenario has no
    figures there, and the reason.
    """

    contenders: Sequence[Contender]
    vocabulary: int

    def run(self, scenario: Scenario, measured: Measured) -> None:
        """With those contenders of it that are there."""
        every = [one for one in self.contenders if one.name in scenario.contenders]
        warm = scenario.wave(self.vocabulary, secrets.token_hex(8))
        left = [one for one in every if _try(one, measured, partial(one.prepare, warm))]
        for repetition in range(scenario.repetitions):
            wave = scenario.wave(self.vocabulary, (repetition, secrets.token_hex(8)))
            left = [one for one in left if _repeat(scenario, one, wave, measured)]


def _repeat(
    scenario: Scenario, contender: Contender, wave: Sequence[Ask], measured: Measured
) -> bool:
    def work() -> None:
        contender.prepare(wave)  # who was held still has cold caches
        figures = scenario.run(contender, wave)
        measured.add(contender.name, figures)
        said = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        print(f"  {contender.name}: {said}", flush=True)

    return _try(contender, measured, work)


def _try(contender: Contender, measured: Measured, work: Callable[[], None]) -> bool:
    """Whether ``work`` came to its end, with all cores for the contender."""
    try:
        with awake(contender):
            work()
    except (ShortAnswer, ChildDied) as error:
        print(f"  {contender.name} failed: {error}", flush=True)
        measured.drop(contender.name, str(error))
        return False
    return True
