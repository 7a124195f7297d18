"""Rotary position embedding as tables: a cosine and a sine per position and pair of numbers."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.export.decoder import Decoder

Floats: TypeAlias = npt.NDArray[np.float32]


def rope_tables(decoder: Decoder) -> tuple[Floats, Floats]:
    """Cosines and sines of shape (max_positions, head_dim / 2). Angles are computed in float32,
    as in training (arXiv:2104.09864).
    """
    positions = np.arange(decoder.max_positions, dtype=np.float32)
    angles = np.outer(positions, rope_speeds(decoder))
    return np.cos(angles), np.sin(angles)


def rope_speeds(decoder: Decoder) -> Floats:
    """Angle per position of each pair."""
    rope = decoder.rope
    pairs = np.arange(0, decoder.head_dim, 2, dtype=np.float32) / np.float32(decoder.head_dim)
    speeds: Floats = np.reciprocal(
        np.power(np.float32(rope["rope_theta"]), pairs, dtype=np.float32)
    )
    if rope["rope_type"] == "linear":
        speeds /= np.float32(rope["factor"])
    if rope["rope_type"] == "llama3":
        return llama3_speeds(speeds, decoder)
    return speeds


def llama3_speeds(speeds: Floats, decoder: Decoder) -> Floats:
    """Llama 3.1's stretching: pairs that turn slowly are slowed by ``factor``, fast ones stay,
    those between are blended (Transformers' rope_type "llama3").
    """
    rope = decoder.rope
    context = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    wavelengths = 2 * math.pi / speeds
    blend = np.clip((context / wavelengths - low) / (high - low), 0, 1)
    stretched: Floats = (1 - blend) * speeds / rope["factor"] + blend * speeds
    return stretched.astype(np.float32)
