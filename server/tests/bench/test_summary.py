import math

import pytest

from enginebay_server.bench import StreamTimes, percentile, summarise


def test_percentiles_lie_between_neighbours() -> None:
    values = [4.0, 1.0, 3.0, 2.0]
    assert percentile(values, 0) == 1.0
    assert percentile(values, 50) == 2.5
    assert percentile(values, 100) == 4.0
    assert percentile(values, 99) == pytest.approx(3.97)
    assert math.isnan(percentile([], 50))


def test_tokens_that_came_together_have_no_gap() -> None:
    times = StreamTimes(0.0, ((1.0, 2), (1.5, 1), (3.0, 3)))
    assert times.gaps == [0.0, 0.5, 1.5, 0.0, 0.0]
    assert times.tokens == 6
    assert (times.first, times.ended) == (1.0, 3.0)


def test_the_servers_own_count_wins_over_chunks() -> None:
    assert StreamTimes(0.0, ((1.0, 1), (2.0, 1)), counted=5).tokens == 5


def test_a_rate_is_over_the_time_of_all_streams() -> None:
    summary = summarise(
        [StreamTimes(10.0, ((11.0, 1), (12.0, 1))), StreamTimes(10.5, ((13.5, 1), (14.0, 3)))]
    )
    assert summary.tokens == 6
    assert summary.seconds == 4.0
    assert summary.tokens_per_second == 1.5
    assert summary.ttft_p50 == 2.0
    assert summary.gap_p50 == 0.25
    assert not summary.errors


def test_failed_streams_are_in_no_figure_but_the_errors() -> None:
    good = StreamTimes(0.0, ((1.0, 1), (2.0, 1)))
    bad = StreamTimes(0.0, ((50.0, 9),), error="broke")
    silent = StreamTimes(0.0)
    summary = summarise([good, bad, bad, silent])
    assert summary.answers == 1
    assert summary.tokens_per_second == 1.0
    assert summary.errors == {"broke": 2, "no tokens": 1}


def test_nothing_gives_no_figure() -> None:
    summary = summarise([])
    assert math.isnan(summary.tokens_per_second)
    assert math.isnan(summary.ttft_p99)
