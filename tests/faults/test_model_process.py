"""One model's process dies or hangs while another model streams, behind a whole server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

MARK = "ENGINEBAY_TEST_MARK"
CONFIG = f"""
[server]
port = 0
shutdown_seconds = 1
[models.steady]
backend = "numpy"
model = "pocket"
[models.victim]
backend = "numpy"
model = "pocket"
pass_env = ["{MARK}"]
deadlines = {{ compile = 2.0, step = 2.0 }}
"""
ASK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Count from one to twenty."}],
    "max_tokens": 300,
    "temperature": 0,
    "ignore_eos": True,
}


@dataclass
class Served:
    popen: subprocess.Popen[str]
    url: str
    http: httpx.Client
    temporary: Path

    def status(self, model: str) -> str:
        return str(self.http.get(f"{self.url}/models/{model}").json()["status"])

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        body = {**ASK, "model": model, **fields}
        return self.http.post(f"{self.url}/chat/completions", json=body)

    def stream(self, model: str) -> Iterator[str]:
        body = {**ASK, "model": model, "stream": True}
        with self.http.stream("POST", f"{self.url}/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    frame = json.loads(line.removeprefix("data: "))
                    assert "error" not in frame, frame
                    yield "".join(c["delta"].get("content") or "" for c in frame["choices"])

    def victim(self) -> int:
        marked = [pid for pid in children(self.popen.pid) if f"{MARK}=1" in environment(pid)]
        assert len(marked) == 1
        return marked[0]


def children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="eb-") as folder:
        here = Path(folder)
        (here / "server.toml").write_text(CONFIG)
        (here / "t").mkdir()
        command = [sys.executable, "-m", "enginebay_server", "serve", "--config", "server.toml"]
        variables = {**os.environ, MARK: "1", "TMPDIR": str(here / "t")}
        with (here / "log").open("w") as log:
            popen = subprocess.Popen(
                command, cwd=here, env=variables, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            yield ready(popen, here)
        finally:
            popen.kill()
            popen.communicate()


def ready(popen: subprocess.Popen[str], here: Path) -> Served:
    assert popen.stdout is not None
    url = popen.stdout.readline().split()[-1]
    assert url.startswith("http"), (here / "log").read_text()
    served = Served(popen, url, httpx.Client(timeout=60), here / "t")
    for model in ("steady", "victim"):
        wait(lambda model=model: served.status(model) == "ready")
    return served


def wait(happened: Any, seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_the_other_model_does_not_notice(served: Served, number: int) -> None:
    whole = "".join(served.stream("steady"))
    expected = served.ask("victim").json()["choices"]
    received = ""
    for count, text in enumerate(served.stream("steady")):
        received += text
        if count == 20:
            os.kill(served.victim(), number)
    assert received == whole
    answer = served.ask("victim")
    if answer.status_code != 200:  # the signal was not noticed before, or the restart goes on
        assert answer.json()["error"]["code"] in ("engine_crashed", "overloaded")
    assert served.http.get(served.url.removesuffix("/v1") + "/health").status_code == 200
    wait(lambda: served.status("victim") == "ready")
    assert served.ask("victim").json()["choices"] == expected
    assert len(children(served.popen.pid)) == 2


def test_a_request_in_flight_learns_the_cause(served: Served) -> None:
    body = {**ASK, "model": "victim", "stream": True, "max_tokens": 900}
    lines = []
    with served.http.stream("POST", f"{served.url}/chat/completions", json=body) as response:
        for line in response.iter_lines():
            lines.append(line)
            if len(lines) == 20:
                os.kill(served.victim(), signal.SIGSEGV)
    error = json.loads([line for line in lines if line][-2].removeprefix("data: "))["error"]
    assert error["code"] == "engine_crashed"
    assert "the process of backend 'numpy' died of SIGSEGV" in error["message"]
    details = served.http.get(f"{served.url}/models/victim").json()
    assert details["status"] in ("restarting", "ready")
    answer = served.ask("victim", max_tokens=4)
    if answer.status_code != 200:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
    wait(lambda: served.status("victim") == "ready")


def test_z_a_stop_leaves_nothing(served: Served) -> None:
    port = int(served.url.split(":")[-1].split("/")[0])
    processes = children(served.popen.pid)
    assert len(processes) == 2
    assert list(served.temporary.iterdir()) == []
    served.http.close()
    served.popen.send_signal(signal.SIGTERM)
    assert served.popen.wait(15) == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    assert list(served.temporary.iterdir()) == []
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
