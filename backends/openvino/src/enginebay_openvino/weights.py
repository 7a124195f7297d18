"""Weights as constants, each in the form that the CPU plugin multiplies without widening it."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from enginebay_core.export import Array


def constant(matrix: Array, precision: str) -> Any:
    """(outputs, inputs), of type float32 for the nodes that read it."""
    if precision == "bf16":
        bits = short_floats(matrix)
        shared = ov.Tensor(bits, ov.Shape(bits.shape), ov.Type.bf16)  # keeps no hold of ``bits``
        return op.convert(op.constant(shared, shared_memory=False), "f32")
    if precision == "int8":
        whole, scales = quantize(matrix)
        return op.multiply(op.convert(op.constant(whole), "f32"), op.constant(scales))
    return op.constant(np.ascontiguousarray(matrix, np.float32))


def short_floats(matrix: Array) -> Array:
    """The bits of the nearest bfloat16, ties to even; numpy has no such type."""
    bits = np.ascontiguousarray(matrix, np.float32).view(np.uint32)
    return ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)


def quantize(matrix: Array) -> tuple[Array, Array]:
    """Eight bits with a sign, and one scale for each output."""
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    scales = np.maximum(largest, np.finfo(np.float32).tiny).astype(np.float32) / np.float32(127)
    return np.rint(matrix / scales).astype(np.int8), scales
