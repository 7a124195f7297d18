"""The toy's embedder keeps the contract, and each fault in one is caught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import Backend, ConfigError
from enginebay_core.placement import process_is_installed
from enginebay_core.testing import BackendContract, EmbedderContract
from enginebay_core.testing.session import run_checks
from enginebay_core.toy import ToyBackend, ToyEmbedder

Floats = npt.NDArray[np.float32]
Inputs = Sequence[Sequence[int]]
MASK = (1 << 64) - 1
MULTIPLIER = 0x9E3779B97F4A7C15


def by_hand(ids: Sequence[int]) -> Floats:
    """The toy's states and their mean in Python's own integers, id by id."""
    seen, total = 0, np.zeros(16, np.float64)
    for place, token in enumerate(ids, start=1):
        seen = (seen + (token + 1) * place * MULTIPLIER) & MASK
        for dimension in range(16):
            mixed = (seen ^ dimension) * MULTIPLIER & MASK
            mixed ^= mixed >> 29
            mixed = mixed * MULTIPLIER & MASK
            total[dimension] += (mixed >> 40) * 2.0**-23 - 1
    return (total / len(ids)).astype(np.float32)


class TestToy(EmbedderContract):
    backend, model, options = "toy", "toy", {"task": "embed"}

    @classmethod
    def oracle(cls, ids: Sequence[int]) -> Floats:
        return by_hand(ids)


@pytest.mark.skipif(not process_is_installed(), reason="needs enginebay-core[process]")
class TestToyElsewhere(TestToy):
    placement = "process"


@pytest.mark.parametrize("placement", ["inline", "process"])
def test_the_contract_of_text_sends_one_here(placement: Any) -> None:
    if placement == "process" and not process_is_installed():
        pytest.skip("needs enginebay-core[process]")
    own: dict[str, Any] = {"backend": "toy", "model": "toy", "options": {"task": "embed"}}
    contract: Any = type("Contract", (BackendContract,), {**own, "placement": placement})
    with pytest.raises(ConfigError, match="EmbedderContract"):
        contract.open_bench()


class PaddingCounts(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        longest = max(map(len, inputs))
        return super().embed([[*ids, *[0] * (longest - len(ids))] for ids in inputs])


class LastIdLost(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        return super().embed([ids[:-1] or ids for ids in inputs])


class SortedByLength(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        return super().embed(sorted(inputs, key=len))


class OnlyTheFirstId(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        return super().embed([ids[:1] for ids in inputs])


class NotANumber(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        made = super().embed(inputs)
        made[:, 3] = np.nan
        return made


class OneTooFew(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        return super().embed(inputs)[:-1]


class WrongDimensions(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        return super().embed(inputs)[:, :8]


class LongestFails(ToyEmbedder):
    def embed(self, inputs: Inputs) -> Floats:
        if max(map(len, inputs)) >= self.spec.max_length:
            raise IndexError("position 2047 of 2047")
        return super().embed(inputs)


BROKEN: list[tuple[type[ToyEmbedder], str]] = [
    (PaddingCounts, "neighbours_do_not_matter"),
    (PaddingCounts, "vectors_are_the_oracles"),
    (LastIdLost, "every_id_counts"),
    (LastIdLost, "vectors_are_the_oracles"),
    (SortedByLength, "neighbours_do_not_matter"),
    (OnlyTheFirstId, "every_id_counts"),
    (NotANumber, "every_input_has_a_vector"),
    (OneTooFew, "every_input_has_a_vector"),
    (WrongDimensions, "every_input_has_a_vector"),
    (LongestFails, "the_longest_input_fits_and_no_longer_one"),
]


@pytest.mark.parametrize(("embedder", "check"), BROKEN)
def test_a_broken_embedder_is_caught(embedder: type[ToyEmbedder], check: str) -> None:
    class Broken(ToyBackend):
        def load(self, *_: Any) -> Any:
            return embedder()

    class Contract(TestToy):
        @classmethod
        def make_backend(cls) -> Backend[Any]:
            return Broken()

    [result] = run_checks(Contract, {f"test_{check}"})
    assert result.status == "failed"
