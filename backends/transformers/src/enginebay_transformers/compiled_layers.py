"""Decoder layers compiled for a while: one compiled layer serves all that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

VARIANTS: Final = 64
"""Compilations of one layer's code before torch gives up: layers of different kinds, batches of
one and of many rows, the first layers' numbers and all others'.
"""


@contextmanager
def compiled_layers(model: nn.Module, count: int) -> Iterator[None]:
    """While open, the ``count`` decoder layers of ``model`` run compiled, for any batch size.

    Layers differ in their number, which the compiler is told to take as any integer.
    """
    layers = find_layers(model, count)
    settings = torch._dynamo.config.patch(
        allow_unspec_int_on_nn_module=True, recompile_limit=VARIANTS
    )
    with settings:
        for layer in layers:
            layer.forward = torch.compile(layer.forward, dynamic=True)
        try:
            yield
        finally:
            for layer in layers:
                del layer.forward


def find_layers(model: nn.Module, count: int) -> list[nn.Module]:
    """The list of layers; empty for a model that keeps them in another way."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return next((list(layers) for layers in lists if len(layers) == count), [])
