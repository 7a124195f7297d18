"""Print the device's name and how many bytes a second its memory gives: ``bandwidth.py DEVICE``."""

from __future__ import annotations

import json
import sys
import time
from typing import Final

import torch

SIZE: Final = 1 << 30
"""Bytes of one read: far more than any cache holds."""

TURNS: Final = 8


def main() -> None:
    device = torch.device(sys.argv[1])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(json.dumps({"device": name, "bytes_per_second": read_speed(device)}))


def read_speed(device: torch.device, size: int = SIZE) -> float:
    """The fastest of several sums over ``size`` bytes: what a step that reads all weights once
    can hope for.
    """
    data = torch.ones(size // 4, device=device)
    return max(size / _seconds_of_sum(data) for _ in range(TURNS))


def _seconds_of_sum(data: torch.Tensor) -> float:
    started = time.perf_counter()
    data.sum().item()  # which waits for the device
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
