"""Clean environments, and wheels of every distribution in the checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "server", "plugins/numpy", "plugins/pocket", "backends/transformers")

MakeVenv = Callable[..., Path]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one wheel per distribution."""
    directory = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    run([*build, "-w", str(directory), *(str(ROOT / folder) for folder in FOLDERS)])
    return directory


@pytest.fixture
def make_venv(tmp_path: Path) -> MakeVenv:
    """``make_venv(*requirements)``: its python, in a new environment with those installed."""

    def make(*requirements: str) -> Path:
        run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
        python = tmp_path / "venv" / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run([*install, "-c", str(ROOT / "constraints.txt"), *requirements])
        return python

    return make


def run(command: list[str], **options: object) -> str:
    """Standard output; on failure the test shows everything the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]  # options go through as they are
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def wheel(directory: Path, distribution: str) -> str:
    """The path of the one wheel of ``enginebay-NAME``."""
    (found,) = directory.glob(f"{distribution.replace('-', '_')}-*.whl")
    return str(found)
