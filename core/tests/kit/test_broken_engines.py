"""Every fault is caught by the checks that are meant for it."""

from __future__ import annotations

import pytest

from enginebay_core.toy import ToyEngine

from .broken_engines import ENGINES
from .broken_samplers import BATCH_SAMPLERS, SAMPLERS, Choose, FaultySampler
from .contracts import BrokenBackend, contract_of, not_caught


@pytest.mark.parametrize(("engine", "checks"), [*ENGINES, *BATCH_SAMPLERS])
def test_a_broken_engine_is_caught(engine: type[ToyEngine], checks: tuple[str, ...]) -> None:
    assert not not_caught(contract_of(BrokenBackend(engine)), checks)


@pytest.mark.parametrize(
    ("choose", "checks"),
    [sampler[1:] for sampler in SAMPLERS],
    ids=[sampler[0] for sampler in SAMPLERS],
)
def test_a_broken_sampler_is_caught(choose: Choose, checks: tuple[str, ...]) -> None:
    assert not not_caught(contract_of(BrokenBackend(lambda: FaultySampler(choose))), checks)
