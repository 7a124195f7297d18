"""Which linear layers of a model read the same states, one after another.

Attention asks for queries, keys and values of the same states, a gated MLP for gate and content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby

import torch
from torch import nn


@contextmanager
def watch_inputs(model: nn.Module) -> Iterator[list[list[nn.Linear]]]:
    """``model`` runs once inside; then the list has groups of layers with one input, each in the
    order of its calls. What is called more than once is in none.
    """
    calls: list[tuple[nn.Linear, torch.Tensor]] = []  # the tensors are held, so ids stay theirs
    groups: list[list[nn.Linear]] = []
    with ExitStack() as hooks:
        for module in model.modules():
            if type(module) is nn.Linear:
                note = module.register_forward_pre_hook(
                    lambda linear, states: calls.append((linear, states[0]))
                )
                hooks.callback(note.remove)
        yield groups
    often = Counter(linear for linear, _ in calls)
    for _, run in groupby(calls, key=lambda call: id(call[1])):
        group = [linear for linear, _ in run]
        if len(group) > 1 and all(often[linear] == 1 for linear in group):
            groups.append(group)
