"""What was measured, kept as JSON: each run adds its scenarios to those of earlier ones."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.figures import Figures

FILE: Final = "results.json"


@dataclass(frozen=True)
class Conditions:
    """``share`` is what a loop on every core at once got of its core at least, before and after.
    ``busy`` says what else ran, where it was measured nevertheless.
    """

    when: str
    commit: str
    share: float
    busy: str = ""


@dataclass
class Measured:
    """One scenario. ``runs`` has the figures of each repetition, in order, by contender;
    ``missing`` says why a contender has none.
    """

    title: str
    conditions: Conditions
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, figures: Figures) -> None:
        self.runs.setdefault(contender, []).append(figures)

    def drop(self, contender: str, reason: str) -> None:
        """Forget its repetitions: half of them say nothing."""
        self.runs.pop(contender, None)
        self.missing[contender] = reason

    def values(self, contender: str, figure: str) -> list[float]:
        """One per repetition; NaN where that has no such figure."""
        return [run.get(figure, math.nan) for run in self.runs.get(contender, [])]


@dataclass(frozen=True)
class Place:
    """One figure of one contender in one scenario."""

    scenario: str
    contender: str
    figure: str


@dataclass
class Results:
    """``setting`` is what all scenarios have in common: model, machine, versions. Results of
    another setting are no part of these. ``limit`` is how many tokens per second one stream had
    if a step took no longer than reading all weights once; NaN where memory was not measured.
    """

    setting: dict[str, str]
    scenarios: dict[str, Measured] = field(default_factory=dict)
    limit: float = math.nan

    def median(self, place: Place) -> float:
        """NaN where it was not measured."""
        return _median(self._values(place))

    def ratio(self, ours: Place, theirs: Place) -> float:
        """Within one scenario the median of the repetitions' ratios, for these ran side by side;
        across two the ratio of medians.
        """
        if ours.scenario != theirs.scenario:
            return self.median(ours) / self.median(theirs)
        pairs = zip(self._values(ours), self._values(theirs), strict=False)
        return _median([our / their for our, their in pairs])

    def difference(self, ours: Place, theirs: Place) -> float:
        """The median of the repetitions' differences, within one scenario."""
        pairs = zip(self._values(ours), self._values(theirs), strict=False)
        return _median([our - their for our, their in pairs])

    def repetitions(self, place: Place) -> int:
        return len(self._values(place))

    def _values(self, place: Place) -> list[float]:
        measured = self.scenarios.get(place.scenario)
        return measured.values(place.contender, place.figure) if measured else []


def load_results(directory: Path, setting: Mapping[str, str]) -> Results:
    """Those kept in ``directory`` if they are of the same setting, else empty ones."""
    fresh = Results(dict(setting))
    file = directory / FILE
    if not file.exists():
        return fresh
    kept = json.loads(file.read_text())
    if kept["setting"] != fresh.setting:
        changed = [key for key in fresh.setting if kept["setting"].get(key) != setting[key]]
        print(f"{file} is of another {', '.join(changed)}; beginning anew", flush=True)
        return fresh
    limit = kept["limit"]
    fresh.limit = math.nan if limit is None else limit
    fresh.scenarios = {name: _measured(one) for name, one in kept["scenarios"].items()}
    return fresh


def save_results(results: Results, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    whole = asdict(results)
    whole["limit"] = None if math.isnan(results.limit) else results.limit
    text = json.dumps(whole, indent=1, allow_nan=False)
    (directory / FILE).write_text(text + "\n")


def _measured(kept: Mapping[str, Any]) -> Measured:
    return Measured(
        kept["title"], Conditions(**kept["conditions"]), dict(kept["runs"]), dict(kept["missing"])
    )


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan
