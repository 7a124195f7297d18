"""The gate itself, on engines whose every fault shows: it opens for equals, and says where others
part.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from enginebay_core.api import FinishReason, GenerationRequest, GenerationStep, Limits, StepBatch
from enginebay_core.engine import StepGenerator
from enginebay_core.export.gate import GateClosed, Passed, check_parity
from enginebay_core.export.witness import LENGTHS, NEW_IDS, Witness, call_witnesses
from enginebay_core.toy import ToyEngine

ALL = ("alone", "ragged batch", "chunked")


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.fixture(scope="module")
def witnesses() -> list[Witness]:
    return call_witnesses(ToyEngine(max_sequences=1), quiet)


class Changed(ToyEngine):
    """``change`` is given the logits of each step and the step."""

    def __init__(self, change: Any, **options: Any) -> None:
        super().__init__(**options)
        self._change = change

    def forward(self, batch: StepBatch) -> Any:
        return self._change(super().forward(batch), batch)


def test_witnesses_are_varied(witnesses: list[Witness]) -> None:
    assert tuple(len(witness.prompt) for witness in witnesses) == LENGTHS
    for witness in witnesses:
        assert len(witness.output) == NEW_IDS
        assert len(witness.logits) == len(witness.ids)
        assert len(set(witness.output)) >= 6
    assert len({witness.prompt[0] for witness in witnesses}) == len(LENGTHS)


@pytest.mark.parametrize("batching", ["mixed", "chunk"])
def test_an_equal_passes_every_case(witnesses: list[Witness], batching: Any) -> None:
    passed = check_parity(ToyEngine(batching=batching), witnesses, "fp32", quiet)
    assert passed == Passed(ALL, 0.0)


def test_what_an_engine_cannot_do_is_not_asked(witnesses: list[Witness]) -> None:
    single = ToyEngine(batching="single", max_sequences=1)
    assert check_parity(single, witnesses, "fp32", quiet).cases == ("alone",)
    few = ToyEngine(max_sequences=2)
    assert check_parity(few, witnesses, "fp32", quiet).cases == ALL


def test_a_short_context_shortens_the_prompts() -> None:
    found = call_witnesses(ToyEngine(max_length=32), quiet)
    assert [len(witness.ids) for witness in found] == [15, 29, 32, 32]
    check_parity(ToyEngine(max_length=32), found, "fp32", quiet)


def off_after(position: int) -> Any:
    """One logit is off in every step that ends past ``position``."""

    def change(logits: Any, batch: StepBatch) -> Any:
        ends = max(row.start + len(row.ids) for row in batch.rows)
        wrong = logits.copy()
        wrong[..., 7] += 1e-2 * np.abs(logits).max() * (ends > position)
        return wrong

    return change


def test_noise_within_the_precision_passes(witnesses: list[Witness]) -> None:
    engine = Changed(off_after(0))
    assert 1e-3 < check_parity(engine, witnesses, "int8", quiet).worst < 2e-2
    with pytest.raises(GateClosed, match="'alone', prompt 1, after id 1 of 15"):
        check_parity(engine, witnesses, "fp32", quiet)


def test_it_names_case_position_and_difference(witnesses: list[Witness]) -> None:
    with pytest.raises(GateClosed) as caught:
        check_parity(Changed(off_after(20)), witnesses, "fp32", quiet)
    words = str(caught.value)
    assert "case 'alone', prompt 2, after id 21 of 29" in words
    assert "1.00% of the largest (0.01% would do)" in words
    assert "not served" in words


def test_a_lost_beginning_of_a_chunk_is_found(witnesses: list[Witness]) -> None:
    def change(logits: Any, batch: StepBatch) -> Any:
        row = batch.rows[0]
        return logits[::-1] if len(row.ids) > 1 and row.start else logits

    with pytest.raises(GateClosed, match="case 'chunked', prompt 1, after id 8 of 15"):
        check_parity(Changed(change), witnesses, "fp32", quiet)


def test_rows_taken_for_each_other_are_found(witnesses: list[Witness]) -> None:
    def change(logits: Any, batch: StepBatch) -> Any:
        return logits[::-1] if len(batch.rows) > 1 else logits

    with pytest.raises(GateClosed, match="case 'ragged batch', prompt"):
        check_parity(Changed(change), witnesses, "fp32", quiet)


def test_nan_is_no_parity(witnesses: list[Witness]) -> None:
    with pytest.raises(GateClosed, match="'alone'"):
        check_parity(Changed(lambda logits, _: logits * np.nan), witnesses, "int8", quiet)


class Text:
    """An engine with a scheduler of its own, whose answers the test may spoil at ``at``."""

    def __init__(self, at: int | None = None) -> None:
        self._engine = StepGenerator(ToyEngine(), "toy")
        self._at = at
        self.running = self.most = 0

    @property
    def limits(self) -> Limits:
        return self._engine.limits

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        self.running += 1
        self.most = max(self.most, self.running)
        count = 0
        async for step in self._engine.generate(request):
            ids = tuple((i + 1) % 200 if count == self._at else i for i in step.ids)
            count += len(step.ids)
            yield GenerationStep(ids, step.finish)
        self.running -= 1

    def close(self) -> None:
        self._engine.close()


def test_an_engine_without_logits_is_judged_by_its_text(witnesses: list[Witness]) -> None:
    engine = Text()
    assert check_parity(engine, witnesses, "fp32", quiet) == Passed(("alone", "batch"), 0.0)
    assert engine.most == len(witnesses)
    engine.close()
    wrong = Text(at=5)
    with pytest.raises(GateClosed, match="'alone', prompt 1, at output id 6: the reference says"):
        check_parity(wrong, witnesses, "fp32", quiet)
    wrong.close()


def test_an_early_end_is_found(witnesses: list[Witness]) -> None:
    class Short(Text):
        async def generate(
            self, request: GenerationRequest
        ) -> AsyncGenerator[GenerationStep, None]:
            yield GenerationStep((), FinishReason.STOP)

    engine = Short()
    with pytest.raises(GateClosed, match="ended after 0 of 12 ids"):
        check_parity(engine, witnesses, "fp32", quiet)
    engine.close()
