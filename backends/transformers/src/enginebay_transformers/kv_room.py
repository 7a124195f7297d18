"""How long sequences may be, so that the KV of all slots fits into memory."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from transformers import PreTrainedConfig

from enginebay_core.api import ModelError
from enginebay_transformers.hardware import free_memory
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.slot_cache import LayerShape

logger = logging.getLogger(__name__)

CUDA_SHARE: Final = 0.9
SHARED_SHARE: Final = 0.5
"""Of the free memory, what KV may take: the rest is for what steps take beyond the measured, and
on the CPU (and mps, whose memory is the machine's) for activations and other programs.
"""
UNSTATED_LENGTH: Final = 8192
"""For models that state no limit, such as state-space models."""
SHORTEST: Final = 256
"""A default shorter than this serves nobody: better say that memory is short."""


def trained_length(config: PreTrainedConfig) -> int | None:
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def choose_length(config: PreTrainedConfig, options: TransformersOptions) -> int:
    """Without regard to memory. Raises ModelError for more than the model has positions."""
    trained = trained_length(config)
    if options.max_length is None:
        return trained or UNSTATED_LENGTH
    if trained is not None and options.max_length > trained:
        raise ModelError(
            f"options.max_length is {options.max_length!r}, and the model has {trained} positions; "
            "lower it or leave it out"
        )
    return options.max_length


def fit_length(
    config: PreTrainedConfig,
    options: TransformersOptions,
    shapes: Sequence[LayerShape],
    reserve: int = 0,
) -> int:
    """As ``choose_length``, cut to what fits where the operator named no length. ``reserve`` are
    bytes of each device that steps take.

    Raises ModelError when a named length does not fit, or hardly anything does.
    """
    wanted = choose_length(config, options)
    room = room_per_slot(shapes, options.max_sequences, reserve)
    if room >= wanted:
        return wanted
    if options.max_length is not None or room < min(SHORTEST, wanted):
        raise ModelError(
            f"the KV cache of {options.max_sequences} sequences of {wanted} ids does not fit: free "
            f"memory holds {max(room, 0)} ids each; lower options.max_sequences or "
            "options.max_length"
        )
    logger.warning(
        "free memory holds %d of the model's %d ids for each of %d sequences; lower "
        "options.max_sequences for a longer context",
        room,
        wanted,
        options.max_sequences,
    )
    return room


def room_per_slot(shapes: Sequence[LayerShape], slots: int, reserve: int) -> int:
    """Ids that each slot can hold on the tightest device, beside an entry of scratch."""
    per_token: Counter[object] = Counter()
    for shape in shapes:
        per_token[shape.device] += shape.bytes_per_token
    rooms = []
    for device in {shape.device for shape in shapes}:
        share = CUDA_SHARE if device.type == "cuda" else SHARED_SHARE
        room = int((free_memory(device) - reserve) * share)
        rooms.append(room // (slots * per_token[device]) - 1)
    return min(rooms)
