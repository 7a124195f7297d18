"""The main job without the checkout: from wheels, and from ``pip install .``."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.packaging.conftest import ROOT, run, wheel

MAIN_JOB = ("enginebay-core", "enginebay-server", "enginebay-numpy", "enginebay-pocket")
GREETING = [{"role": "user", "content": "Hello! Who are you?"}]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_main_job_from_wheels(
    wheels: Path, make_venv: Callable[..., Path], tmp_path: Path
) -> None:
    core, *others = (wheel(wheels, name) for name in MAIN_JOB)
    python = make_venv(f"enginebay-core[hf] @ file://{core}", *others)
    assert_it_serves(python, tmp_path)


def test_the_main_job_from_pip_install_dot(make_venv: Callable[..., Path], tmp_path: Path) -> None:
    python = make_venv(str(ROOT))
    listed = json.loads(run([str(python), "-m", "pip", "list", "--format=json"]))
    assert {"enginebay", *MAIN_JOB} <= {package["name"] for package in listed}
    assert_it_serves(python, tmp_path)


def assert_it_serves(python: Path, cwd: Path) -> None:
    where = run(
        [str(python), "-c", "import enginebay_core; print(enginebay_core.__file__)"], cwd=cwd
    )
    assert str(ROOT) not in where
    with served(python.with_name("enginebay"), cwd) as base:
        body = json.dumps({"model": "pocket", "messages": GREETING, "temperature": 0}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{base}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer: dict[str, Any] = json.load(reply)
    message = answer["choices"][0]["message"]["content"]
    assert "EngineBay" in message
    assert answer["choices"][0]["finish_reason"] == "stop"


@contextmanager
def served(command: Path, cwd: Path) -> Iterator[str]:
    port = 18_000 + os.getpid() % 10_000
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        [str(command), "serve", "--port", str(port)], cwd=cwd, env=environment
    )
    try:
        wait_until_healthy(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def wait_until_healthy(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server was not healthy within 30 seconds")
