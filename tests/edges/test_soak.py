"""The soak itself: that it runs clean, and that it would see a leak."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.edges.soak import Sample, grown, soak

REST = Sample(resident=100.0, descriptors=20, tasks=5, threads=9, sequences=0, reserved=0)


@pytest.mark.environments
def test_two_minutes_of_all_kinds_of_clients() -> None:
    assert soak(2.0) == []


def test_what_grows_is_seen() -> None:
    rounds = [replace(REST, resident=100.0 + number % 3) for number in range(9)]
    assert grown(rounds) == []
    leaking = [replace(REST, resident=100.0 + 8 * number) for number in range(9)]
    assert grown(leaking) == ["resident grew from 108.0 to 156.0"]
    kept = [replace(REST, sequences=int(number > 4)) for number in range(9)]
    assert grown(kept) == ["sequences grew from 0 to 1"]
