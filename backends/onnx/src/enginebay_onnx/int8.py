"""Weights in 8 bits, a scale for each block of 32 along the input: ONNX Runtime's MatMulNBits.

Activations are rounded row by row and block by block, so a row does not depend on its neighbours
in the batch, as it does under dynamic quantization with one scale for the whole batch.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

BLOCK: Final = 32
BITS: Final = 8
ZERO: Final = 128
"""The stored byte that means 0."""
ACCURACY: Final = 4
"""MatMulNBits' accuracy_level for products of 8-bit integers."""


def quantize(matrix: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    """A matrix of shape (out, in) as bytes (out, blocks, BLOCK) and scales (out, blocks); the last
    block is filled up with zeros.
    """
    rows, columns = matrix.shape
    blocks = -(-columns // BLOCK)
    padded = np.zeros((rows, blocks * BLOCK), np.float32)
    padded[:, :columns] = matrix
    blocked = padded.reshape(rows, blocks, BLOCK)
    scales = np.abs(blocked).max(axis=-1) / np.float32(ZERO - 1)
    steps = np.where(scales == 0, np.float32(1), scales)[..., np.newaxis]
    stored = np.rint(blocked / steps).astype(np.int16) + ZERO
    return stored.astype(np.uint8), scales.astype(np.float32)
