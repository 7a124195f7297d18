"""What steps take on a CUDA device beside weights and KV, measured before KV takes the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import torch

from enginebay_core.api import Progress, StepRow
from enginebay_transformers.decode_graphs import DecodeGraphs
from enginebay_transformers.hardware import free_memory
from enginebay_transformers.kv_room import choose_length
from enginebay_transformers.slot_cache import SlotCache, run_step
from enginebay_transformers.slot_step import lay_out

if TYPE_CHECKING:
    from enginebay_transformers.slot_choice import Recipe

logger = logging.getLogger(__name__)

MOST_IDS: Final = 2048
"""Prompt ids that core runs in one step at most."""


def measure_steps(recipe: Recipe, progress: Progress) -> int:
    """Bytes: for the largest step and all graphs, tried on one short slot. 0 off CUDA, where KV
    shares its memory with the rest of the machine anyway.
    """
    device = recipe.model.device
    if device.type != "cuda":
        return 0
    progress("measuring a step")
    torch.cuda.empty_cache()
    before = free_memory(device)
    length = min(MOST_IDS, choose_length(recipe.model.config, recipe.options))
    cache = SlotCache(recipe.shapes, 1, length)
    rows = [StepRow(0, 0, (0,) * length)]
    with torch.inference_mode():
        run_step(recipe.model, cache, lay_out(rows, device, recipe.kernel, cache.slot_layers))
    graphs = try_graphs(recipe, cache, progress)
    kv = sum(shape.bytes_per_token for shape in recipe.shapes) * (length + 1)
    taken = before - free_memory(device) - kv
    del graphs, cache
    torch.cuda.empty_cache()
    return max(0, taken)


def try_graphs(recipe: Recipe, cache: SlotCache, progress: Progress) -> DecodeGraphs | None:
    """None where they fail, which is said when they are recorded in earnest."""
    if recipe.kernel is None or not recipe.wants_graphs:
        return None
    most = recipe.options.max_sequences
    try:
        return DecodeGraphs.record(recipe.model, cache, recipe.kernel, most, progress)
    except Exception as error:  # the compiler's, CUDA's or the model's
        logger.debug("no CUDA graphs in the trial: %r", error)
        return None
