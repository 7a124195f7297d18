"""Packed weights: the same values, the same logits, and only where they help."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from enginebay_core.api import StepBatch, StepRow
from enginebay_transformers.packed_linear import PackedLinear, can_pack, pack_linears

packs = pytest.mark.skipif(
    not can_pack(nn.Linear(16, 16).bfloat16()), reason="needs an x86 CPU with bfloat16 in oneDNN"
)


@packs
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_it_computes_what_the_layer_did(bias: bool, rows: int) -> None:
    linear = nn.Linear(96, 200, bias=bias).bfloat16()
    states = torch.randn(1, rows, 96).bfloat16()
    with torch.inference_mode():
        expected, found = linear(states), PackedLinear(linear)(states)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)
    assert torch.equal(PackedLinear(linear).packed.to_dense(), linear.weight)


@packs
def test_every_linear_layer_is_packed_and_the_embedding_stays(lab: Any) -> None:
    engine = lab.load("qwen3", dtype="bfloat16")
    model = engine._model.model
    kinds = {type(module) for module in model.modules()}
    assert PackedLinear in kinds
    assert nn.Linear not in kinds
    logits = engine.forward(StepBatch((), (StepRow(0, 0, lab.prompts[2]),))).float()
    expected = lab.reference("qwen3").logits[2][:1]
    assert (logits - expected).abs().max() < 0.1 * expected.std()


def test_float32_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8).bfloat16())
    pack_linears(model)
    assert [type(layer) for layer in model] == [nn.Linear, nn.Linear]
