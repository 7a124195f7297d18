"""The main job without the checkout: from wheels, and from ``pip install .``."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.packaging.conftest import (
    ROOT,
    free_port,
    greet,
    pip,
    run,
    wait_until_healthy,
    wheel,
)

MAIN_JOB = ("enginebay-core", "enginebay-server", "enginebay-numpy", "enginebay-pocket")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_main_job_from_wheels(
    wheels: Path, make_venv: Callable[..., Path], tmp_path: Path
) -> None:
    core, *others = (wheel(wheels, name) for name in MAIN_JOB)
    python = make_venv(f"enginebay-core[hf] @ file://{core}", *others)
    assert_it_serves(python, tmp_path)


def test_the_main_job_from_pip_install_dot(make_venv: Callable[..., Path], tmp_path: Path) -> None:
    python = make_venv(str(ROOT))
    listed = json.loads(pip(python, "list", "--format=json"))
    assert {"enginebay", *MAIN_JOB} <= {package["name"] for package in listed}
    assert_it_serves(python, tmp_path)


def assert_it_serves(python: Path, cwd: Path) -> None:
    where = run(
        [str(python), "-c", "import enginebay_core; print(enginebay_core.__file__)"], cwd=cwd
    )
    assert str(ROOT) not in where
    with served(python.with_name("enginebay"), cwd) as port:
        answer = greet(port)
        browser = Request(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        with urlopen(browser, timeout=10) as page:
            assert b"</script>" in page.read()
    assert "EngineBay" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"


@contextmanager
def served(command: Path, cwd: Path) -> Iterator[int]:
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        [str(command), "serve", "--port", str(port)], cwd=cwd, env=environment
    )
    try:
        wait_until_healthy(server, port)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
