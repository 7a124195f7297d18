"""Scenarios, bars and contenders fit together."""

import pytest
from tests.benchmarks.bars import Bar, cpu_bars, cuda_bars
from tests.benchmarks.names import KEYS
from tests.benchmarks.results import Place
from tests.benchmarks.scenarios import Scenario, cpu_scenarios, cuda_scenarios, quick_scenarios

FRAMES = "frames"
"""Has contenders of its own."""


@pytest.mark.parametrize(
    ("bars", "scenarios"), [(cpu_bars(), cpu_scenarios()), (cuda_bars(), cuda_scenarios())]
)
def test_each_bar_is_measured_by_a_full_run(bars: list[Bar], scenarios: list[Scenario]) -> None:
    measured = {(one.name, who) for one in scenarios for who in one.contenders}
    for place in (place for bar in bars for place in (bar.ours, bar.theirs)):
        if isinstance(place, Place) and place.scenario != FRAMES:
            assert (place.scenario, place.contender) in measured


@pytest.mark.parametrize("every", [cpu_scenarios(), quick_scenarios(), cuda_scenarios()])
def test_names_are_unique_and_contenders_known(every: list[Scenario]) -> None:
    assert len({one.name for one in every}) == len(every)
    assert {who for one in every for who in one.contenders} <= set(KEYS.values())
