"""Clean environments, and wheels of every distribution in the checkout."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "core",
    "server",
    "plugins/numpy",
    "plugins/pocket",
    "backends/onnx",
    "backends/openvino",
    "backends/optimum",
    "backends/transformers",
)

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

    return partial(venv_with, tmp_path / "venv")


def venv_with(folder: Path, *requirements: str) -> Path:
    """The python of a new environment in ``folder`` with those installed. Our own pip does it: to
    unpack one there takes longer than some of the requirements.
    """
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    python = folder / "bin" / "python"
    constraints = str(ROOT / "constraints.txt")
    pip(python, "install", "-q", "--no-compile", "-c", constraints, *requirements)
    return python


def pip(python: Path, *arguments: str) -> str:
    """What pip says of the environment of ``python``."""
    command = [sys.executable, "-m", "pip", "--python", str(python), *arguments]
    return run([*command, "--disable-pip-version-check"])


def run(command: list[str], **options: object) -> str:
    """Standard output; on failure the test shows everything the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]  # options go through as they are
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def wheel(directory: Path, distribution: str) -> str:
    """The path of the one wheel of ``enginebay-NAME``."""
    (found,) = directory.glob(f"{distribution.replace('-', '_')}-*.whl")
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(server: subprocess.Popen[bytes], port: int, seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server was not healthy within {seconds:g} seconds")


def greet(port: int, model: str = "pocket") -> dict[str, Any]:
    """The bundled model's answer to a greeting, as the API gives it."""
    messages = [{"role": "user", "content": "Hello! Who are you?"}]
    body = json.dumps({"model": model, "messages": messages, "temperature": 0}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, Any] = json.load(reply)
        return answer
