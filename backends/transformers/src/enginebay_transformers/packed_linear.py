"""Linear layers whose weights lie as oneDNN's bfloat16 kernels read them.

Torch hands oneDNN the checkpoint's layout, which it rearranges in every call. Done once at load,
on an x86 CPU with bfloat16 instructions, a product of few rows takes about a fifth less time. The
values are the same.
"""

from __future__ import annotations

import platform
from typing import Final

import torch
from torch import nn

NEEDED: Final = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
"""Torch's operators, which its own compiler uses and which a build without oneDNN lacks."""


class PackedLinear(nn.Module):
    """Stands in for an ``nn.Linear``, whose weight it rearranges and lets go."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        rows = 1  # the layout is the same for any number
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.packed, self.bias, "none", [], ""
        )
        return product


def pack_linears(model: nn.Module) -> None:
    """Replace every plain linear layer of a bfloat16 model on such a CPU; others stay as they are.

    An embedding that shares its weight with the last layer keeps a copy of its own.
    """
    if not can_pack(model):
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))


def can_pack(model: nn.Module) -> bool:
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not all(hasattr(torch.ops.mkldnn, name) for name in NEEDED):
        return False
    plain = all(
        weight.device.type == "cpu" and weight.dtype == torch.bfloat16
        for weight in model.parameters()
    )
    return plain and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
