"""A server as `enginebay serve` starts it, and clients as `enginebay chat` does."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

CONFIG = """
[server]
shutdown_seconds = 0
[models.toy]
backend = "toy"
model = "toy"
aliases = ["gpt-4o-mini"]
defaults = { temperature = 0, max_tokens = 40 }
[models.slow]
backend = "toy"
model = "toy"
options = { step_seconds = 0.02, max_sequences = 1 }
[models.fails]
backend = "toy"
model = "toy"
options = { raise_at_step = 4 }
[models.gone]
backend = "toy"
model = "toy"
options = { fail_load = true }
"""
ENGINEBAY = (sys.executable, "-m", "enginebay_server")


@dataclass
class Served:
    """A running `enginebay serve`; ``welcome`` is what it said first."""

    child: subprocess.Popen[str]
    url: str
    welcome: str

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.child.send_signal(number)
        return self.child.wait(30)


def environment(**variables: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENGINEBAY_")}
    return {**kept, **variables}


@contextmanager
def serving(*arguments: str, cwd: Path, **variables: str) -> Iterator[Served]:
    log = cwd / "serve.log"
    with log.open("w") as stderr:
        child = subprocess.Popen(
            [*ENGINEBAY, "serve", *arguments],
            cwd=cwd,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert child.stdout is not None
        said = ""
        while "Ctrl-C stops it" not in said:
            line = child.stdout.readline()
            assert line, log.read_text()
            said += line
        [url] = re.findall(r"serves the OpenAI API at (\S+)", said)
        yield Served(child, url, said)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(30)
        if child.stdout is not None:
            child.stdout.close()


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Models ``toy``, ``slow`` (20 ms a token, one at a time), ``fails`` (in its fourth step, that
    is once) and ``gone`` (did not load).
    """
    directory = tmp_path_factory.mktemp("toys")
    (directory / "enginebay.toml").write_text(CONFIG)
    with serving("--port", "0", cwd=directory) as served:
        while any(model["status"] == "loading" for model in listed(served)):
            time.sleep(0.05)
        yield served


def listed(served: Served) -> list[dict[str, str]]:
    models: list[dict[str, str]] = httpx.get(f"{served.url}/models").json()["data"]
    return models


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Chat = Callable[..., Done]


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    """``chat("--url", …, typed="Hello\\n")``: with pipes, to its end."""

    def run(*arguments: str, typed: str = "", **variables: str) -> Done:
        child = subprocess.run(
            [*ENGINEBAY, "chat", *arguments],
            cwd=tmp_path,
            env=environment(**variables),
            input=typed,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return Done(child.returncode, child.stdout, child.stderr)

    return run
