"""The time from each token to the next, counted many at once."""

from __future__ import annotations

import numpy as np
import pytest

from enginebay_server.metrics import Tally, TokenClock
from enginebay_server.metrics import clock as clock_module


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock is to show: its last entry."""
    shown = [100.0]
    monkeypatch.setattr(clock_module, "monotonic", lambda: shown[-1])
    return shown


def tick(clock: TokenClock, now: list[float], seconds: float, tokens: int = 1) -> None:
    now.append(now[-1] + seconds)
    clock.tick(tokens)


def test_gaps_lie_between_tokens(now: list[float]) -> None:
    clock, tally = TokenClock(), Tally((0.1, 1.0))
    clock.tally = tally
    assert clock.first is None
    for seconds in (5.0, 0.05, 0.5, 2.0):
        tick(clock, now, seconds)
    assert clock.first == 105.0
    clock.count()
    clock.count()
    assert clock.first == 105.0
    assert tally.counts == [1, 1, 1]
    assert tally.sum == pytest.approx(2.55)


def test_tokens_that_come_together_share_the_wait(now: list[float]) -> None:
    clock, tally = TokenClock(), Tally((0.15, 1.0))
    clock.tally = tally
    tick(clock, now, 1.0, 3)
    tick(clock, now, 0.4, 4)
    clock.count()
    assert (clock.first, tally.counts) == (101.0, [6, 0, 0])
    assert tally.sum == pytest.approx(0.4)


def test_none_is_lost_where_many_come(now: list[float]) -> None:
    clock, tally = TokenClock(), Tally((0.005, 0.015))
    clock.tally = tally
    for _ in range(1000):
        tick(clock, now, 0.01)
    told = sum(tally.counts)
    assert 1000 - clock_module.TOGETHER <= told < 1000, "long answers are seen while they go on"
    clock.count()
    assert tally.counts == [0, 999, 0]


def test_a_value_at_a_bound_is_within_it() -> None:
    one, many = Tally((1.0, 2.0)), Tally((1.0, 2.0))
    values = [0.5, 1.0, 1.5, 2.0, 2.5]
    for value in values:
        one.add(value)
    many.add_all(np.array(values))
    assert one.counts == many.counts == [2, 2, 1]
