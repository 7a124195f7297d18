"""`enginebay serve` as an operator types it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import ENGINEBAY, environment, serving

TOY = ("toy", "--backend", "toy", "--port", "0")


def ask(url: str, model: str, key: str = "any") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(100):
        answer = httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=30)
        if answer.status_code != 503:
            return answer
        time.sleep(0.1)
    raise AssertionError(answer.text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_model_on_a_free_port_until_a_signal(tmp_path: Path, number: int) -> None:
    (tmp_path / "enginebay.toml").write_text("[server]\nprot = 1\n")
    with serving(*TOY, "--option", "max_length=64", cwd=tmp_path) as served:
        assert ask(served.url, "toy").json()["usage"]["completion_tokens"] == 4
        listed = httpx.get(f"{served.url}/models/toy").json()
        assert listed["context_length"] == 64
        assert served.stop(number) == 0
    assert "./enginebay.toml is not read" in (tmp_path / "serve.log").read_text()


def test_the_config_in_the_directory_and_the_command_line_over_it(tmp_path: Path) -> None:
    (tmp_path / "enginebay.toml").write_text(
        '[server]\nport = 1\n[models.mine]\nbackend = "toy"\nmodel = "toy"\n'
    )
    arguments = ("--port", "0", "--set", "models.mine.defaults.max_tokens=3")
    with serving(*arguments, cwd=tmp_path, ENGINEBAY_SERVER__API_KEY="sesame") as served:
        assert "sesame" not in served.welcome
        assert ask(served.url, "mine").status_code == 401
        assert ask(served.url, "mine", "sesame").status_code == 200
        models = subprocess.run(
            [*ENGINEBAY, "models", "list", "--url", served.url, "--json"],
            env=environment(ENGINEBAY_SERVER__API_KEY="sesame"),
            capture_output=True,
            text=True,
            check=True,
        )
        assert [model["id"] for model in json.loads(models.stdout)["models"]] == ["mine"]


def test_the_bundled_model_is_the_default(tmp_path: Path) -> None:
    with serving("--port", "0", cwd=tmp_path) as served:
        assert "Models: pocket\n" in served.welcome
        card = httpx.get(f"{served.url}/models/pocket").json()
        assert card["backend"] == "numpy"


def test_a_port_in_use_is_one_message(tmp_path: Path) -> None:
    with serving(*TOY, cwd=tmp_path) as served:
        port = str(httpx.URL(served.url).port)
        child = subprocess.run(
            [*ENGINEBAY, "serve", *TOY[:3], "--port", port],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert child.returncode == 2
    assert child.stdout == ""
    assert child.stderr.startswith(f"enginebay: cannot listen on 127.0.0.1 port {port}")
    assert "set server.port to another" in child.stderr
    assert len(child.stderr.splitlines()) == 1


@pytest.mark.parametrize("host", ["300.1.1.1", "192.0.2.1"])  # no address; one of nobody's
def test_a_host_that_is_not_here_is_named(tmp_path: Path, host: str) -> None:
    child = subprocess.run(
        [*ENGINEBAY, "serve", "--host", host, "--port", "0", "--set", "server.auth=none"],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (child.returncode, child.stdout) == (2, "")
    assert child.stderr.startswith(f"enginebay: cannot listen on {host} port 0")
    assert child.stderr.endswith("set server.host to an address of this machine\n")


def test_the_console_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("enginebay")
    said = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("enginebay 0.")
