"""Clients that leave free their room at once, and nobody remembers them."""

from __future__ import annotations

import pytest
from tests.edges.leaving import PLACEMENTS, aftermath


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_room_is_free_within_a_second(placement: str) -> None:
    after = await aftermath(placement)
    assert after.right, after
