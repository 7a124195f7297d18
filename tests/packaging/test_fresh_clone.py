"""What the README says first, on a fresh clone with nothing installed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, free_port, greet, run, wait_until_healthy

pytestmark = [pytest.mark.environments, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clone") / "enginebay"
    run(["git", "clone", "-q", str(ROOT), str(directory)])
    return directory


def make(clone: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    command = ["make", f"PYTHON={base_python()}", *arguments]
    done = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def base_python() -> str:
    """The Python that made this environment: the clone must not see our packages."""
    return str(Path(sys.base_prefix) / "bin" / "python3")


@pytest.mark.parametrize("backend", ["", "transformers"])
def test_the_demo_answers_twice(clone: Path, backend: str) -> None:
    said = make(clone, "demo", f"BACKEND={backend}")
    assert said.count("\nassistant: ") == 2
    assert "EngineBay" in said
    assert "exit code 0" in said


def test_the_second_time_is_quick_and_quiet(clone: Path) -> None:
    assert "installing" not in make(clone, "demo")


def test_make_serve_serves(clone: Path) -> None:
    port = free_port()
    command = ["make", f"PYTHON={base_python()}", "serve", f"PORT={port}"]
    server = subprocess.Popen(command, cwd=clone, start_new_session=True)
    try:
        wait_until_healthy(server, port, seconds=120)
        assert "EngineBay" in greet(port)["choices"][0]["message"]["content"]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(30)


@pytest.mark.parametrize("backend", ["toy", "numpy", "transformers"])
def test_every_claim_of_the_backends_is_proved(clone: Path, backend: str) -> None:
    said = run([str(clone / ".venv" / "bin" / "enginebay"), "plugins", "check", backend])
    assert "PROVED: 18 of 18 claimed fields" in said
