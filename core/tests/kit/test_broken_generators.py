"""Faults of engines with a scheduler of their own, of tokenizers, of claims and options."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel

from enginebay_core.api import Capabilities, EngineOptions, Support
from enginebay_core.text import ByteTokenizer
from enginebay_core.toy import ToyEngine

from .broken_generators import CLAIMS, GENERATORS, ONLY_ITS_OWN, REFUSERS, Wrapped, claims
from .broken_tokenizers import TOKENIZERS
from .contracts import BrokenBackend, contract_of, not_caught

PENALTIES = dict.fromkeys(("presence_penalty", "frequency_penalty"), Support.REFUSED)


@pytest.mark.parametrize(
    ("make", "checks"),
    [generator[1:] for generator in GENERATORS],
    ids=[generator[0] for generator in GENERATORS],
)
def test_a_broken_generator_is_caught(make: Callable[[], Wrapped], checks: tuple[str, ...]) -> None:
    assert not not_caught(contract_of(BrokenBackend(make), timeout=2.0), checks)


@pytest.mark.parametrize(
    ("make", "check"), [case[1:] for case in ONLY_ITS_OWN], ids=[case[0] for case in ONLY_ITS_OWN]
)
def test_a_fault_shows_by_the_logprobs_of_what_came(
    make: Callable[[], Wrapped], check: str
) -> None:
    backend = BrokenBackend(make, claims(top_logprobs=Support.REFUSED, **PENALTIES))
    assert not not_caught(contract_of(backend, timeout=5.0), [check])


@pytest.mark.parametrize(("make", "checks"), REFUSERS)
def test_a_generator_that_refuses_wrongly_is_caught(
    make: type[Wrapped], checks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enginebay_core.testing.subject.make_generator", lambda engine, *_: engine)
    assert not not_caught(contract_of(BrokenBackend(make), timeout=2.0), checks)


@pytest.mark.parametrize(("tokenizer", "check"), TOKENIZERS)
def test_a_broken_tokenizer_is_caught(tokenizer: type[ByteTokenizer], check: str) -> None:
    assert not not_caught(contract_of(BrokenBackend(ToyEngine), tokenizer()), [check])


@pytest.mark.parametrize(
    ("claimed", "check"), [case[1:] for case in CLAIMS], ids=[case[0] for case in CLAIMS]
)
def test_a_claim_that_cannot_hold_is_caught(claimed: Capabilities, check: str) -> None:
    assert not not_caught(contract_of(BrokenBackend(Wrapped, claimed)), [check])


def test_options_that_swallow_typing_errors_are_caught() -> None:
    class Careless(EngineOptions):
        model_config = BaseModel.model_config | {"extra": "ignore"}

    backend = BrokenBackend(ToyEngine, options=Careless)
    assert not not_caught(contract_of(backend), ["options_refuse_unknown_keys"])
