"""A server as a process, with its backends in processes of their own, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

KEY = "sk-edges-0123456789"
GREEDY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Count from one to ten."}],
    "temperature": 0,
}


@dataclass
class Target:
    """``port`` is the server's; ``http`` sends the key."""

    popen: subprocess.Popen[str]
    port: int
    http: httpx.Client
    folder: Path
    answers: dict[str, bytes] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, model: str, tokens: int = 16, **fields: Any) -> httpx.Response:
        body = {**GREEDY, "model": model, "max_tokens": tokens, **fields}
        return self.http.post(f"{self.root}/v1/chat/completions", json=body)

    def canary(self) -> bytes:
        """A greedy answer, without what differs by design."""
        answer = self.ask("m")
        assert answer.status_code == 200, answer.text
        whole = answer.json()
        del whole["id"], whole["created"], whole["usage"]["prompt_tokens_details"]
        return json.dumps(whole).encode()

    def health_seconds(self) -> float:
        """The best of three: the machine may be busy, the server must not."""
        return min(self._one_health() for _ in range(3))

    def processes(self) -> list[int]:
        """The server and its backends; what a backend starts for a while is its own affair."""
        return [self.popen.pid, *children(self.popen.pid)]

    def resident(self) -> int:
        """Bytes of memory of all processes."""
        pids = [self.popen.pid, *descendants(self.popen.pid)]
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Open files of the server process."""
        return len(os.listdir(f"/proc/{self.popen.pid}/fd"))

    def connect(self, seconds: float = 20) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def _one_health(self) -> float:
        started = time.monotonic()
        assert self.http.get(f"{self.root}/health").status_code == 200
        return time.monotonic() - started


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


def children(pid: int) -> list[int]:
    lists = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return sorted(int(child) for found in lists for child in found)


@contextmanager
def serving(folder: Path, config: str) -> Iterator[Target]:
    """``enginebay serve`` with this TOML and ``KEY``; ready when it is handed over."""
    (folder / "server.toml").write_text(config)
    command = [sys.executable, "-m", "enginebay_server", "serve", "--config", "server.toml"]
    variables = {**os.environ, "ENGINEBAY_SERVER__API_KEY": KEY, "ENGINEBAY_SERVER__PORT": "0"}
    with (folder / "log").open("w") as log:
        popen = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert popen.stdout is not None
        address = popen.stdout.readline().split()
        assert address, (folder / "log").read_text()
        port = int(address[-1].rsplit(":", 1)[1].split("/")[0])
        http = httpx.Client(
            timeout=60, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, verify=False
        )
        with http:
            yield _ready(Target(popen, port, http, folder))
    finally:
        popen.kill()
        popen.communicate()


def _ready(target: Target) -> Target:
    deadline = time.monotonic() + 60
    while True:
        models = target.http.get(f"{target.root}/v1/models").json()["data"]
        if all(model["status"] == "ready" for model in models):
            return target
        assert time.monotonic() < deadline, models
        time.sleep(0.05)


class Streaming:
    """A client that streams one greedy answer after the other, and knows what each must be."""

    def __init__(self, target: Target, model: str, expected: str) -> None:
        self._target = target
        self._model = model
        self._expected = expected
        self._stopped = threading.Event()
        self.fault: str | None = None
        self.frames = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """It goes on, and every piece so far was right."""
        seen, deadline = self.frames, time.monotonic() + 5
        while self.frames == seen and self.fault is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.fault is None, self.fault
        assert self.frames > seen, "the running stream stands still"

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._stream()
        except Exception as error:
            self.fault = repr(error)

    def _stream(self) -> None:
        body = {**GREEDY, "model": self._model, "max_tokens": len(self._expected), "stream": True}
        url = f"{self._target.root}/v1/chat/completions"
        text = ""
        with contextlib.closing(self._client()) as http, http.stream("POST", url, json=body) as got:
            assert got.status_code == 200, got.read()
            for line in got.iter_lines():
                if self._stopped.is_set():
                    return
                if line.startswith("data: {"):
                    text += _text_of(json.loads(line.removeprefix("data: ")))
                    self.frames += 1
                    assert self._expected.startswith(text), text[-40:]
        assert text == self._expected

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=60, headers=dict(self._target.http.headers), trust_env=False, verify=False
        )


def _text_of(frame: dict[str, Any]) -> str:
    assert "error" not in frame, frame
    return "".join(choice["delta"].get("content") or "" for choice in frame["choices"])
