"""When an engine is taken for hung, by a clock that the test turns."""

from __future__ import annotations

import pytest

from enginebay_core.config import Deadlines
from enginebay_core.placement.process.stall import Stall


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def look(self, stall: Stall, seconds: float, *, busy: bool, beats: bool = True) -> str | None:
        """Look every half second, a heartbeat between; the first complaint."""
        for _ in range(int(2 * seconds)):
            self.now += 0.5
            if beats:
                stall.heard(stall_steps(stall))
            if said := stall.look(busy=busy):
                return said
        return None


def stall_steps(stall: Stall) -> int:
    return stall._steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


DEADLINES = Deadlines(compile=60, step=10)


def test_the_first_step_may_compile_the_second_not(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    assert clock.look(stall, 59, busy=True) is None
    stall.heard(1)
    assert clock.look(stall, 10, busy=True) is None
    said = clock.look(stall, 2, busy=True)
    assert said == "hung in step 2: for 10 s the step did not end, while its process was alive"


def test_progress_buys_time(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    stall.heard(1)
    stall.progressed()
    assert clock.look(stall, 59, busy=True) is None
    assert clock.look(stall, 3, busy=True) is not None


def test_steps_that_end_are_no_stall(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    for step in range(1, 30):
        stall.heard(step)
        assert clock.look(stall, 9, busy=True) is None


def test_waiting_for_work_is_no_stall(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    stall.heard(1)
    assert clock.look(stall, 1000, busy=False) is None
    assert clock.look(stall, 9, busy=True) is None


def test_silence_is_one_even_without_work(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    stall.heard(1)
    said = clock.look(stall, 20, busy=False, beats=False)
    assert said
    assert "nothing came from its process, not even a heartbeat" in said


def test_a_server_that_slept_blames_nobody(clock: Clock) -> None:
    stall = Stall(DEADLINES)
    stall.heard(1)
    stall.look(busy=True)
    clock.now += 3600
    assert stall.look(busy=True) is None
