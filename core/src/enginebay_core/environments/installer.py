"""Makes virtual environments, and has uv or pip install into them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enginebay_core.api import ModelError, Progress

LOG: Final = "install.log"
TOLD: Final = (
    "Collecting",
    "Downloading",
    "Downloaded",
    "Building",
    "Prepared",
    "Resolved",
    "Installing",
    "Installed",
    "Requirement",
    "Using",
)
SHOWN: Final = 76
LAST_LINES: Final = 15
LED_ASTRAY: Final = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
"""Variables by which an installer would take this installation for the one it installs into."""


@dataclass(frozen=True, slots=True)
class Installer:
    """``command`` installs requirements into the environment of an interpreter."""

    name: str
    command: tuple[str, ...]
    again: tuple[str, ...]
    index: tuple[str, ...]

    def install(self, *words: str | Path, index: str | None) -> list[str]:
        more = [*self.index, index] if index else []
        return [*self.command, *more, *map(str, words)]

    def reinstall(self, wheels: Sequence[Path]) -> list[str]:
        """These alone, whatever version is there."""
        return [*self.command, *self.again, "--no-deps", *map(str, wheels)]


def choose_installer(interpreter: Path) -> Installer:
    """Uv where it is, else the pip that is beside this Python. Raises ModelError for neither."""
    uv = shutil.which("uv")
    if uv is None and importlib.util.find_spec("uv") is not None:
        uv = str(Path(sys.executable).with_name("uv"))
    if uv is not None:
        best = ("--index-strategy", "unsafe-best-match", "--extra-index-url")
        return Installer(
            "uv", (uv, "pip", "install", "--python", str(interpreter)), ("--reinstall",), best
        )
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            "an environment is made with uv or pip, and neither is here: install uv, or run "
            f"{sys.executable} -m ensurepip"
        )
    pip = (sys.executable, "-m", "pip", "--python", str(interpreter), "install")
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
    return Installer("pip", (*pip, *quiet), ("--force-reinstall",), ("--extra-index-url",))


def make_venv(place: Path) -> None:
    """Without pip, which installs from outside. Raises ModelError."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    if made.returncode != 0:
        said = (made.stderr or made.stdout).strip()
        raise ModelError(
            f"{' '.join(command)} failed ({said}); on Debian and Ubuntu: apt install python3-venv"
        )


def run_logged(command: Sequence[str], log: Path, lock: int, progress: Progress) -> None:
    """Raises ModelError with the end of what was said.

    The child shares ``lock``: should this process be killed, nobody else begins before the child
    has ended, too.
    """
    environment = {name: value for name, value in os.environ.items() if name not in LED_ASTRAY}
    with (
        log.open("a", encoding="utf-8") as written,
        subprocess.Popen(  # noqa: S603 - as composed above
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env=environment,
            pass_fds=(lock,),
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                written.write(line)
                _tell(line, progress)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-LAST_LINES:])
        raise ModelError(
            f"{command[0]} ended with exit code {child.returncode}; the end of {log}:\n{tail}"
        )


def _tell(line: str, progress: Progress) -> None:
    words = line.split()
    if words and words[0] in TOLD:
        progress(" ".join(words)[:SHOWN])
