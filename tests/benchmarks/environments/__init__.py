"""Python environments beside the checkout's own, one per requirements file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).parent
"""The requirements of the harness."""

_STEPS: Final = ("Collecting", "Building", "Installing")


class NoEnvironment(Exception):
    """It cannot be made here; the message says why."""


def is_made(name: str, root: Path, files: Path = FILES) -> bool:
    stamp = root / name / "installed"
    return stamp.exists() and stamp.read_text() == _fingerprint(files / f"{name}.txt")


def make_environment(name: str, root: Path, files: Path = FILES) -> Path:
    """The Python of environment ``name`` under ``root``; made only where it is not there yet. The
    first line of its requirements, in ``files``, is a comment that tells its size.
    """
    requirements = files / f"{name}.txt"
    place = root / name
    python = place / "bin" / "python"
    if is_made(name, root, files):
        return python
    size = requirements.read_text().splitlines()[0].removeprefix("# ")
    print(f"making {place}: {size}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(place)], place.with_suffix(".log"))
    index = os.environ.get("TORCH_INDEX", "")
    extra = ["--extra-index-url", index] if index else []
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *extra]
    _run([*pip, "-r", str(requirements)], place.with_suffix(".log"))
    (place / "installed").write_text(_fingerprint(requirements))
    return python


def _fingerprint(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()


def _run(command: list[str], log: Path) -> None:
    """Say pip's steps as they come. Raises NoEnvironment with the end of what the command said."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as written,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            written.write(line)
            if line.lstrip().startswith(_STEPS):
                print(f"  {line.strip()[:76]}", flush=True)
    if child.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise NoEnvironment(f"{lines[-1] if lines else child.returncode} (all of it: {log})")
