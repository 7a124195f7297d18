"""A whole server in a process of its own, and what the tests of faults ask of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

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
    folder: Path

    @property
    def temporary(self) -> Path:
        return self.folder / "t"

    @property
    def health(self) -> int:
        return self.http.get(self.url.removesuffix("/v1") + "/health").status_code

    def status(self, model: str) -> str:
        return str(self.http.get(f"{self.url}/models/{model}").json()["status"])

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        body = {**ASK, "model": model, **fields}
        return self.http.post(f"{self.url}/chat/completions", json=body)

    def text(self, model: str, **fields: Any) -> str:
        answer = self.ask(model, **fields)
        assert answer.status_code == 200, answer.text
        said: str = answer.json()["choices"][0]["message"]["content"]
        return said

    def stream(self, model: str) -> Iterator[str]:
        body = {**ASK, "model": model, "stream": True}
        with self.http.stream("POST", f"{self.url}/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    frame = json.loads(line.removeprefix("data: "))
                    assert "error" not in frame, frame
                    yield "".join(c["delta"].get("content") or "" for c in frame["choices"])


@contextmanager
def serving(config: str, variables: Mapping[str, str]) -> Iterator[Served]:
    """Ends with every model ready."""
    with tempfile.TemporaryDirectory(prefix="eb-") as name:
        folder = Path(name)
        (folder / "server.toml").write_text(config)
        (folder / "t").mkdir()
        command = [sys.executable, "-m", "enginebay_server", "serve", "--config", "server.toml"]
        environment = {**os.environ, "TMPDIR": str(folder / "t"), **variables}
        with (folder / "log").open("w") as log:
            popen = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            with ready(popen, folder) as served:
                yield served
        finally:
            popen.kill()
            popen.communicate()


@contextmanager
def ready(popen: subprocess.Popen[str], folder: Path) -> Iterator[Served]:
    assert popen.stdout is not None
    url = popen.stdout.readline().split()[-1]
    assert url.startswith("http"), (folder / "log").read_text()
    with httpx.Client(timeout=60) as http:
        served = Served(popen, url, http, folder)
        for model in http.get(f"{url}/models").json()["data"]:
            wait(lambda name=model["id"]: served.status(name) == "ready", 60)
        yield served


def wait(happened: Callable[..., bool], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]
