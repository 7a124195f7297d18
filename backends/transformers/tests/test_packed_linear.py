"""Packed weights: the same values, the same logits, and only where they help."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from enginebay_core.api import StepBatch, StepRow
from enginebay_transformers.packed_linear import PackedLinear, can_pack, pack_linears
from enginebay_transformers.shared_input import watch_inputs

packs = pytest.mark.skipif(
    not can_pack(nn.Linear(16, 16).bfloat16()), reason="needs an x86 CPU with bfloat16 in oneDNN"
)


@packs
@pytest.mark.parametrize("biases", [(True,), (False,), (True, True), (False, False), (False, True)])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_they_compute_what_the_layers_did(biases: tuple[bool, ...], rows: int) -> None:
    linears = [nn.Linear(96, 200 + 8 * i, bias=bias) for i, bias in enumerate(biases)]
    model: Any = nn.ModuleList(linears).bfloat16()
    weights = torch.cat([linear.weight.detach() for linear in linears])
    states, others = (torch.randn(1, rows, 96).bfloat16() for _ in range(2))
    with torch.inference_mode():
        expected = [linear(states) for linear in linears]
        odd = linears[-1](others)
        pack_linears(model, [linears])
        for _ in range(2):
            found = [layer(states) for layer in model]
            torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)
        torch.testing.assert_close(model[-1](others), odd, atol=0.02, rtol=0.02)
    assert torch.equal(model[0]._product.packed.to_dense(), weights)


@packs
def test_a_layer_that_is_there_twice_is_packed_once() -> None:
    linear = nn.Linear(16, 16).bfloat16()
    model: Any = nn.ModuleDict({"a": linear, "b": nn.Sequential(linear)})
    pack_linears(model)
    assert model["a"] is model["b"][0]


class Gated(nn.Module):
    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.gate, self.up, self.down = (nn.Linear(4, 4) for _ in range(3))
        self.twice = twice

    def forward(self, states: torch.Tensor) -> Any:
        inner = self.gate(states) * self.up(states)
        return self.gate(self.down(inner)) if self.twice else self.down(inner)


def test_layers_with_one_input_are_siblings() -> None:
    """One that is called again has no lasting place among others."""
    model: Any = nn.Sequential(Gated(twice=False), Gated(twice=True), Gated(twice=False))
    with watch_inputs(model) as siblings:
        model(torch.zeros(1, 4))
    assert siblings == [[model[place].gate, model[place].up] for place in (0, 2)]
    assert not any(layer._forward_pre_hooks for layer in model.modules())


@packs
def test_every_linear_layer_is_packed_and_the_embedding_stays(lab: Any) -> None:
    engine = lab.load("qwen3", dtype="bfloat16")
    model = engine._model.model
    kinds = {type(module) for module in model.modules()}
    assert PackedLinear in kinds
    assert nn.Linear not in kinds
    attention, gated = model.model.layers[0].self_attn, model.model.layers[0].mlp
    assert attention.q_proj._product is attention.k_proj._product is attention.v_proj._product
    assert gated.gate_proj._product is gated.up_proj._product is not gated.down_proj._product
    logits = engine.forward(StepBatch((), (StepRow(0, 0, lab.prompts[2]),))).float()
    expected = lab.reference("qwen3").logits[2][:1]
    assert (logits - expected).abs().max() < 0.1 * expected.std()


def test_float32_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8).bfloat16())
    pack_linears(model)
    assert [type(layer) for layer in model] == [nn.Linear, nn.Linear]
