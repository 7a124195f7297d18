"""Python environments of the harness's own, one per requirements file beside this one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).parent


class NoEnvironment(Exception):
    """It cannot be made here; the message says why."""


def make_environment(name: str, root: Path) -> Path:
    """The Python of environment ``name`` under ``root``; made only where it is not there yet."""
    requirements = FILES / f"{name}.txt"
    place = root / name
    python = place / "bin" / "python"
    stamp = place / "installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making the environment {name}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(place)], place.with_suffix(".log"))
    index = os.environ.get("TORCH_INDEX", "")
    extra = ["--extra-index-url", index] if index else []
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *extra]
    _run([*pip, "-r", str(requirements)], place.with_suffix(".log"))
    stamp.write_text(wanted)
    return python


def _run(command: list[str], log: Path) -> None:
    """Raises NoEnvironment with the end of what the command said."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as written:
        ended = subprocess.run(command, stdout=written, stderr=subprocess.STDOUT, check=False)
    if ended.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise NoEnvironment(f"{lines[-1] if lines else ended.returncode} (all of it: {log})")
