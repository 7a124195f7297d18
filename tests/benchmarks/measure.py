"""Repetitions of scenarios, contender after contender within each: A B A B."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.contender import Contender, alone
from tests.benchmarks.figures import Results
from tests.benchmarks.processes import ChildDied
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wave import ShortAnswer


@dataclass(frozen=True)
class Measurement:
    """What fails is left out of its scenario, with the reason in ``results``."""

    contenders: Sequence[Contender]
    vocabulary: int
    results: Results

    def run(self, scenario: Scenario) -> None:
        """Those contenders of it that are there."""
        print(f"{scenario.name}: {scenario.title}", flush=True)
        every = [one for one in self.contenders if one.name in scenario.contenders]
        left = [one for one in every if self._warm(scenario, one)]
        for repetition in range(scenario.repetitions):
            seed = (repetition, secrets.token_hex(8))
            left = [one for one in left if self._once(scenario, one, seed)]
        for one in left:
            print(f"  {one.name}: {self._line(scenario, one)}", flush=True)

    def _warm(self, scenario: Scenario, contender: Contender) -> bool:
        wave = scenario.wave(self.vocabulary, "warm")
        return self._try(scenario, contender, lambda: contender.prepare(wave))

    def _once(self, scenario: Scenario, contender: Contender, seed: object) -> bool:
        wave = scenario.wave(self.vocabulary, seed)

        def measure() -> None:
            self.results.add(scenario.name, contender.name, scenario.run(contender, wave))

        return self._try(scenario, contender, measure)

    def _try(self, scenario: Scenario, contender: Contender, work: Callable[[], None]) -> bool:
        """Whether ``work`` came to its end, while nobody else was moving."""
        try:
            with alone(contender, self.contenders):
                work()
        except (ShortAnswer, ChildDied) as error:
            print(f"  {contender.name} failed: {error}", flush=True)
            self.results.drop(scenario.name, contender.name, str(error))
            return False
        return True

    def _line(self, scenario: Scenario, contender: Contender) -> str:
        """Medians, for who watches."""
        name, keys = contender.name, self.results.runs[scenario.name][contender.name][0]
        values = {key: self.results.median(scenario.name, name, key) for key in keys}
        return ", ".join(f"{key} {value:.4g}" for key, value in values.items())
