"""Which device, which dtype, and how much memory is free."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # has no types
import torch

from enginebay_core.api import ModelError
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.options import DType

DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}
CPU_BFLOAT16: Final = ("avx512_bf16", "amx_bf16", "bf16")
"""Instruction sets by which a processor multiplies bfloat16 itself."""

CGROUP: Final = Path("/sys/fs/cgroup")


def choose_device(wanted: str) -> torch.device:
    """Raises ModelError when the device is not there."""
    if wanted == "auto":
        return torch.device(best_device())
    device = torch.device(wanted)
    if device.type == "cuda":
        check_cuda(wanted, device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("device is 'mps', and this machine has none; use 'auto' or 'cpu'")
    return device


def best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_cuda(wanted: str, index: int) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ModelError(
            f"device is {wanted!r}, and torch {torch.__version__} sees no CUDA device; install a "
            "CUDA build of torch and the driver, or use 'auto' or 'cpu'"
        )
    if index >= count:
        raise ModelError(f"device is {wanted!r}, and there are {count}; use cuda:0 to {count - 1}")


def choose_dtype(wanted: DType, checkpoint: Checkpoint, device: torch.device) -> torch.dtype:
    """The explicit dtype, else the checkpoint's or the nearest that the device has in hardware.

    Raises ModelError for an explicit dtype that the device cannot compute in at all.
    """
    if wanted == "auto":
        return nearest_dtype(stored_dtype(checkpoint), device)
    dtype = DTYPES[wanted]
    if device.type != "cpu" and dtype == torch.bfloat16 and not has_bfloat16(device):
        raise ModelError(f"dtype is 'bfloat16', which {device} lacks; use 'float16' or 'auto'")
    return dtype


def stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """What config.json says, else what most weights are, else float32."""
    said = checkpoint.config.get("dtype") or checkpoint.config.get("torch_dtype")
    return DTYPES.get(str(said)) or DTYPES.get(str(checkpoint.weights_dtype)) or torch.float32


def nearest_dtype(stored: torch.dtype, device: torch.device) -> torch.dtype:
    if stored == torch.bfloat16 and not has_bfloat16(device):
        return torch.float32 if device.type == "cpu" else torch.float16
    if stored == torch.float16 and device.type == "cpu":
        return torch.float32
    return stored


def has_bfloat16(device: torch.device) -> bool:
    """In hardware: emulation, which torch offers everywhere, does not count."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    found: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # older torch cannot say
    return any(bool(found.get(name)) for name in CPU_BFLOAT16)


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take; on the CPU a container's limit counts."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        limit = torch.mps.recommended_max_memory()
        return int(limit - torch.mps.driver_allocated_memory())
    return min(int(psutil.virtual_memory().available), cgroup_room())


def cgroup_room() -> int:
    """Page cache does not count as used: the kernel gives it back when asked."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        lines = (CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no cgroup v2, or its limit is "max"
        return 2**63
    return limit - used + sum(int(line.split()[1]) for line in lines if line.startswith("file "))
