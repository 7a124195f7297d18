"""Assertions that speak to someone who has never seen the kit, and hold under ``python -O``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enginebay_core.compare.answer import first_difference
from enginebay_core.compare.tolerance import Floats


def expect(condition: bool, message: str) -> None:
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(message)


def expect_ids(got: Sequence[int], expected: Sequence[int], what: str) -> None:
    """Equal id by id; the message shows the first difference."""
    __tracebackhide__ = True
    if list(got) != list(expected):
        raise AssertionError(f"{what}: {difference(got, expected)}")


def difference(got: Sequence[int], expected: Sequence[int]) -> str:
    place = first_difference(got, expected)
    return (
        f"at output index {place} came {list(got[place : place + 4])!r}, expected "
        f"{list(expected[place : place + 4])!r} (lengths {len(got)} and {len(expected)})"
    )


def expect_close(got: Floats, expected: Floats, bound: float, what: str) -> None:
    """Logits of equal shape, each entry within ``bound``; infinities in the same places."""
    __tracebackhide__ = True
    expect(got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}")
    finite = np.isfinite(expected)
    expect(bool((np.isfinite(got) == finite).all()), f"{what}: NaN or infinite logits")
    gap = np.abs(np.where(finite, got, 0) - np.where(finite, expected, 0))
    worst = float(gap.max(initial=0))
    if worst > bound:
        place = [int(index) for index in np.unravel_index(int(gap.argmax()), gap.shape)]
        raise AssertionError(
            f"{what}: logits differ by {worst:.3g}, at most {bound:.3g} is noise "
            f"(worst at {place}, row and id)"
        )
