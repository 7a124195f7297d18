"""Faults of engines with a scheduler of their own, of tokenizers, of claims and options."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel

from enginebay_core.api import Capabilities, EngineOptions
from enginebay_core.text import ByteTokenizer
from enginebay_core.toy import ToyEngine

from .broken_generators import CLAIMS, GENERATORS, REFUSERS, Wrapped
from .broken_tokenizers import TOKENIZERS
from .contracts import BrokenBackend, contract_of, run_one

CASES = [(name, make, check) for name, make, checks in GENERATORS for check in checks]


@pytest.mark.parametrize(
    ("make", "check"),
    [(make, f"test_{check}") for _, make, check in CASES],
    ids=[f"{name}-{check}" for name, _, check in CASES],
)
def test_a_broken_generator_is_caught(make: Callable[[], Wrapped], check: str) -> None:
    result = run_one(contract_of(BrokenBackend(make), timeout=2.0), check)
    assert result.status == "failed", result


@pytest.mark.parametrize(("make", "check"), REFUSERS)
def test_a_generator_that_refuses_wrongly_is_caught(
    make: type[Wrapped], check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enginebay_core.testing.subject.make_generator", lambda engine, _: engine)
    result = run_one(contract_of(BrokenBackend(make), timeout=2.0), check)
    assert result.status == "failed", result


@pytest.mark.parametrize(("tokenizer", "check"), TOKENIZERS)
def test_a_broken_tokenizer_is_caught(tokenizer: type[ByteTokenizer], check: str) -> None:
    result = run_one(contract_of(BrokenBackend(ToyEngine), tokenizer()), check)
    assert result.status == "failed", result


@pytest.mark.parametrize(
    ("claims", "check"), [(claims, f"test_{check}") for _, claims, check in CLAIMS]
)
def test_a_claim_that_cannot_hold_is_caught(claims: Capabilities, check: str) -> None:
    result = run_one(contract_of(BrokenBackend(Wrapped, claims)), check)
    assert result.status == "failed", result


def test_options_that_swallow_typing_errors_are_caught() -> None:
    class Careless(EngineOptions):
        model_config = BaseModel.model_config | {"extra": "ignore"}

    backend = BrokenBackend(ToyEngine, options=Careless)
    result = run_one(contract_of(backend), "test_options_refuse_unknown_keys")
    assert result.status == "failed", result
