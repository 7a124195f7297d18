"""Medians, ratios, and what later runs keep of earlier ones."""

import math
from pathlib import Path
from typing import Literal

import pytest
from tests.benchmarks.bars import Bar
from tests.benchmarks.figures import Figures
from tests.benchmarks.report import write_page
from tests.benchmarks.results import (
    Conditions,
    Measured,
    Place,
    Results,
    load_results,
    save_results,
)

SETTING = {"model": "m", "machine": "two cores"}
OURS, THEIRS = Place("s", "ours", "rate"), Place("s", "theirs", "rate")


def measured(**rates: list[float]) -> Measured:
    """By contender."""
    runs: dict[str, list[Figures]] = {
        name: [{"rate": rate} for rate in all_of_them] for name, all_of_them in rates.items()
    }
    return Measured("a title", Conditions("now", "abc", 0.99), runs)


def results(**runs: list[float]) -> Results:
    return Results(SETTING, {"s": measured(**runs)})


def test_a_ratio_is_of_runs_that_were_side_by_side() -> None:
    found = results(ours=[1, 20, 3], theirs=[1, 10, 1])
    assert found.median(OURS) == 3
    assert found.ratio(OURS, THEIRS) == 2  # and not 3 / 1


def test_across_scenarios_a_ratio_is_of_medians() -> None:
    found = results(ours=[4, 6, 8])
    found.scenarios["other"] = measured(ours=[2, 3])
    assert found.ratio(OURS, Place("other", "ours", "rate")) == pytest.approx(6 / 2.5)


def test_who_was_not_measured_has_no_figure() -> None:
    found = results(ours=[1])
    assert math.isnan(found.median(THEIRS))
    assert math.isnan(found.ratio(OURS, THEIRS))
    assert math.isnan(found.median(Place("gone", "ours", "rate")))


@pytest.mark.parametrize(
    ("limit", "at_most", "of", "verdict"),
    [
        (2.0, False, "ratio", "held"),
        (2.1, False, "ratio", "missed"),
        (2.0, True, "ratio", "held"),
        (1.9, True, "ratio", "missed"),
        (10.0, False, "figure", "held"),
        (10.1, False, "figure", "missed"),
        (5.0, True, "difference", "held"),
        (4.9, True, "difference", "missed"),
    ],
)
def test_a_bar_is_held_at_its_limit_and_missed_past_it(
    limit: float, at_most: bool, of: Literal["ratio", "difference", "figure"], verdict: str
) -> None:
    bar = Bar("t", limit, OURS, THEIRS, at_most=at_most, of=of)
    assert bar.verdict(results(ours=[10], theirs=[5])) == verdict
    assert bar.verdict(results(ours=[10] if of != "figure" else [])) == "not measured"


def test_a_difference_is_of_runs_that_were_side_by_side() -> None:
    found = results(ours=[1, 20, 3], theirs=[1, 10, 1])
    assert found.difference(OURS, THEIRS) == 2  # and not 3 - 1
    assert math.isnan(found.difference(OURS, Place("s", "gone", "rate")))


def test_without_a_peer_the_limit_is_memorys() -> None:
    found = results(ours=[15])
    found.limit = 30
    assert Bar("t", 0.6, OURS, None).ratio(found) == 0.5


def test_a_failed_contender_loses_the_runs_it_had() -> None:
    one = measured(ours=[1, 2], theirs=[3])
    one.drop("ours", "it ended")
    assert one.runs.keys() == {"theirs"}
    assert one.missing == {"ours": "it ended"}


def test_a_later_run_adds_to_what_is_kept(tmp_path: Path) -> None:
    kept = results(ours=[1, 2], theirs=[3])
    save_results(kept, tmp_path)
    again = load_results(tmp_path, SETTING)
    assert again.scenarios == kept.scenarios
    assert math.isnan(again.limit)


def test_results_of_another_setting_are_not_mixed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_results(results(ours=[1]), tmp_path)
    assert load_results(tmp_path, {**SETTING, "machine": "ten cores"}).scenarios == {}
    assert "another machine" in capsys.readouterr().out


def test_the_page_says_what_was_measured_on_a_busy_machine(tmp_path: Path) -> None:
    on_busy = Conditions("now", "abc", 0.99, "others use 50 %")
    runs: dict[str, list[Figures]] = {"EngineBay": [{"tokens_per_second": 10.0}]}
    found = Results(SETTING, {"s": Measured("a title", on_busy, runs), "q": measured()})
    bar = Bar("fast", 1.0, Place("s", "EngineBay", "tokens_per_second"), None)
    found.limit = 5.0
    page = write_page(found, [bar], tmp_path).read_text()
    assert "**s was measured on a busy machine, and says little: others use 50 %.**" in page
    assert "**q " not in page
    assert "| 2.00 × | ≥ 1 × | held, on a busy machine | 1 |" in page


def test_the_page_says_how_much_later_ours_was(tmp_path: Path) -> None:
    ours, theirs = "EngineBay on onnx", "EngineBay on onnx, inline"
    runs: dict[str, list[Figures]] = {
        ours: [{"ttft_p50": 0.0231, "cpu_per_token": 0.000_045}],
        theirs: [{"ttft_p50": 0.022, "cpu_per_token": 0.000_04}],
    }
    found = Results(SETTING, {"s": Measured("a title", Conditions("now", "abc", 0.99), runs)})
    places = [Place("s", who, "ttft_p50") for who in (ours, theirs)]
    bar = Bar("late", 0.002, places[0], places[1], at_most=True, of="difference")
    page = write_page(found, [bar], tmp_path).read_text()
    assert "| 23.1 ms | EngineBay on onnx, inline | 22.0 ms | +1.1 ms | ≤ +2.0 ms | held |" in page
    assert "| EngineBay on onnx has |" in page
    assert "| EngineBay on onnx, inline | 22.0 ms | 40 µs | 1.05 × |" in page
