"""What the README says first, on a fresh clone with nothing installed."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
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


def test_one_command_sets_five_engines_up(clone: Path) -> None:
    """With the config of the docs; one of the engines has an environment of its own."""
    assert "optimum is ready" in make(clone, "setup")
    port = free_port()
    command = [str(clone / ".venv" / "bin" / "enginebay"), "serve", "--port", str(port)]
    command += ["--config", str(clone / "docs" / "examples" / "five-engines.toml")]
    cache = {**os.environ, "XDG_CACHE_HOME": str(clone / "cache")}
    server = subprocess.Popen(command, cwd=clone, env=cache, start_new_session=True)
    try:
        wait_until_healthy(server, port, seconds=120)
        names = ("numpy", "transformers", "onnx", "optimum", "openvino")
        said = {answer_when_ready(port, name) for name in names}
        assert len(said) == 1, said
        assert "EngineBay" in said.pop()
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)


def answer_when_ready(port: int, model: str) -> str:
    """The first time they export, which takes a while."""
    ends = time.monotonic() + 600
    while (said := try_to_greet(port, model)) is None:
        assert time.monotonic() < ends, f"{model} does not load"
        time.sleep(1)
    return said


def try_to_greet(port: int, model: str) -> str | None:
    try:
        content: str = greet(port, model)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        with error:
            refused = error.read().decode()
    else:
        return content
    assert "model_loading" in refused, refused
    return None
