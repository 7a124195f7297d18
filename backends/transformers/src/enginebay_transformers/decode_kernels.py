"""Which decode kernels this device and this environment have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import torch

from enginebay_transformers.decode_rows import DecodeKernel

HALVES: Final = (torch.bfloat16, torch.float16)


def find_kernels(devices: Sequence[str], dtype: torch.dtype) -> Iterator[tuple[str, DecodeKernel]]:
    """Names and kernels, the best first; none on anything but CUDA."""
    if not all(device.startswith("cuda") for device in devices):
        return
    if dtype in HALVES and find_spec("flash_attn") is not None:
        yield "flash-attn", load_kernel("flash_decode")
    if find_spec("triton") is not None:
        yield "triton", load_kernel("triton_decode")


def load_kernel(module: str) -> DecodeKernel:
    """Imported here and not before: the packages that they import may be absent."""
    kernel: DecodeKernel = import_module(f"enginebay_transformers.{module}").attend
    return kernel
