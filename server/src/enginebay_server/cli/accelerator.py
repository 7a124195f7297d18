"""Which accelerator there is, asked in child processes: drivers crash, and torch is heavy."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

SECONDS: Final = 60.0
_ASK_TORCH: Final = """
import torch
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
devices = names or (["mps"] if torch.backends.mps.is_available() else ["CPU only"])
print(torch.__version__ + ", " + ", ".join(devices))
"""


def look_at_nvidia() -> str:
    command = shutil.which("nvidia-smi")
    if command is None:
        return "no nvidia-smi, so no NVIDIA GPU is set up"
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return _ask([command, *query])


def look_at_torch() -> str:
    if importlib.util.find_spec("torch") is None:
        return "not installed; only some backends need it"
    return _ask([sys.executable, "-c", _ASK_TORCH])


def _ask(command: Sequence[str]) -> str:
    """What it says, or in one line why it does not."""
    try:
        child = subprocess.run(  # noqa: S603 - two fixed commands
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS:g} seconds"
    said = (child.stdout if child.returncode == 0 else child.stderr or child.stdout).strip()
    lines = said.splitlines()
    if child.returncode == 0:
        return "; ".join(lines)
    return f"asking failed: {lines[-1] if lines else child.returncode}"
