"""Figures of waves whose times are known."""

import pytest
from tests.benchmarks.figures import decode_figures, late_figures, wave_figures

from enginebay_server.bench import StreamTimes


def stream(started: float, *moments: float) -> StreamTimes:
    return StreamTimes(started, tuple((moment, 1) for moment in moments))


def test_a_wave_is_timed_from_its_first_request_to_its_last_token() -> None:
    figures = wave_figures([stream(0, 1, 2), stream(0.5, 2.5, 4)])
    assert figures["tokens_per_second"] == pytest.approx(4 / 4)
    assert figures["ttft_p50"] == pytest.approx(1.5)


def test_decoding_begins_when_every_stream_has_its_first_token() -> None:
    figures = decode_figures([stream(0, 1, 2, 5, 6), stream(0, 4, 5, 6)])
    assert figures["decode_per_second"] == pytest.approx(4 / 2)
    assert figures["gap_p50"] == pytest.approx(1.0)


def test_what_cannot_be_measured_is_no_figure() -> None:
    assert dict(decode_figures([stream(0, 1)])) == {}
    assert "gap_p50" not in wave_figures([stream(0, 1)])


def test_a_late_prompt_is_blamed_for_waits_while_it_is_read_and_no_others() -> None:
    crowd = stream(0, 1, 2, 3, 7, 8, 20)
    figures = late_figures([crowd], stream(3.5, 7.5))
    assert figures["step"] == pytest.approx(1.0)
    assert figures["worst_gap"] == pytest.approx(4.0)
    assert figures["late_ttft"] == pytest.approx(4.0)
