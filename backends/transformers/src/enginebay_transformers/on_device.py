"""Small host values to a device, without waiting for the work that is queued there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch


def put(
    values: Sequence[Any] | npt.NDArray[Any], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """On CUDA by way of pinned memory, which torch keeps until the copy is done."""
    pinned = device.type == "cuda"
    tensor = torch.tensor(values, dtype=dtype, pin_memory=pinned)
    return tensor.to(device, non_blocking=pinned)
