"""Every fault is caught by the check that is meant for it."""

from __future__ import annotations

import pytest

from enginebay_core.toy import ToyEngine

from .broken_engines import ENGINES
from .broken_samplers import BATCH_SAMPLERS, SAMPLERS, Choose, FaultySampler
from .contracts import BrokenBackend, contract_of, run_one

FAULTY = [*ENGINES, *BATCH_SAMPLERS]


@pytest.mark.parametrize(
    ("engine", "check"), FAULTY, ids=[f"{engine.__name__}-{check}" for engine, check in FAULTY]
)
def test_a_broken_engine_is_caught(engine: type[ToyEngine], check: str) -> None:
    result = run_one(contract_of(BrokenBackend(engine)), check)
    assert result.status == "failed", result


SAMPLER_CASES = [(name, choose, check) for name, choose, checks in SAMPLERS for check in checks]


@pytest.mark.parametrize(
    ("choose", "check"),
    [(choose, f"test_{check}") for _, choose, check in SAMPLER_CASES],
    ids=[f"{name}-{check}" for name, _, check in SAMPLER_CASES],
)
def test_a_broken_sampler_is_caught(choose: Choose, check: str) -> None:
    result = run_one(contract_of(BrokenBackend(lambda: FaultySampler(choose))), check)
    assert result.status == "failed", result
