"""A server as a process: its start, its signals, its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.edges.target import descendants
from tests.server.conftest import TOY

SCRIPT = textwrap.dedent("""
    import json, sys
    from enginebay_core.api import EngineBayError
    from enginebay_server.config import load_settings
    from enginebay_server.run import serve
    try:
        sys.exit(serve(load_settings(None, json.loads(sys.argv[1]))))
    except EngineBayError as error:
        sys.exit(f"refused: {error}")
""")
LONG: dict[str, Any] = {
    "model": "toy",
    "messages": [{"role": "user", "content": "Say hi"}],
    "max_tokens": 2000,
}


class Process:
    """``serve`` in a process of its own."""

    def __init__(self, server: dict[str, Any], placement: str, **options: Any) -> None:
        config = {
            "server": {"port": 0, **server},
            "models": {"toy": {**TOY, "options": options, "placement": placement}},
        }
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""

    def wait_ready(self) -> None:
        assert self.popen.stdout is not None
        first = self.popen.stdout.readline()
        assert "http://" in first, self.popen.communicate()
        self.url = first.split()[-1]
        deadline = time.monotonic() + 30
        while httpx.get(self.url.removesuffix("/v1") + "/health").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ends(self, seconds: float) -> tuple[int, float, str]:
        """Exit code, how long it took, and the log."""
        started = time.monotonic()
        _, log = self.popen.communicate(timeout=seconds)
        return self.popen.returncode, time.monotonic() - started, log


@contextmanager
def process(
    server: dict[str, Any] | None = None, placement: str = "inline", **options: Any
) -> Iterator[Process]:
    begun = Process(server or {}, placement, **options)
    try:
        yield begun
    finally:
        begun.popen.kill()
        begun.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_server_well(number: int) -> None:
    with process() as server:
        server.wait_ready()
        server.popen.send_signal(number)
        code, took, log = server.ends(10)
    assert code == 0
    assert took < 4
    assert "Traceback" not in log


def test_running_answers_are_finished_first() -> None:
    with process({"shutdown_seconds": 20}, step_seconds=0.02) as server:
        server.wait_ready()
        body = {**LONG, "max_tokens": 60, "stream": True}
        with httpx.stream("POST", server.url + "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert '"finish_reason":"length"' in rest[-2]
        code, _, _ = server.ends(10)
    assert code == 0


def test_while_running_answers_finish_others_are_told_so() -> None:
    """A balancer sees that it is not ready, a client that it should come again."""
    with process({"shutdown_seconds": 20}, step_seconds=0.02) as server:
        server.wait_ready()
        body = {**LONG, "max_tokens": 60, "stream": True}
        with httpx.stream("POST", server.url + "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            wait_status(server, 503)
            refused = httpx.post(server.url + "/chat/completions", json=LONG)
            rest = [line for line in lines if line]
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert int(refused.headers["retry-after"]) >= 1
        assert rest[-1] == "data: [DONE]"
        code, took, _ = server.ends(10)
    assert code == 0
    assert took < 4


def wait_status(server: Process, status: int) -> None:
    deadline = time.monotonic() + 5
    while httpx.get(server.url.removesuffix("/v1") + "/health").status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_answers_that_take_too_long_are_ended_in_band() -> None:
    with process({"shutdown_seconds": 0.3}, step_seconds=0.02) as server:
        server.wait_ready()
        body = {**LONG, "stream": True}
        with httpx.stream("POST", server.url + "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert json.loads(rest[-2].removeprefix("data: "))["error"]["code"] == "engine_closed"
        code, took, log = server.ends(10)
    assert code == 0
    assert took < 4
    assert "Traceback" not in log


def test_a_second_signal_ends_it_at_once() -> None:
    with process({"shutdown_seconds": 60}, step_seconds=0.02) as server:
        server.wait_ready()
        body = {**LONG, "stream": True}
        with httpx.stream("POST", server.url + "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert server.popen.poll() is None
            server.popen.send_signal(signal.SIGTERM)
            code, took, _ = server.ends(5)
    assert code == 128 + signal.SIGTERM
    assert took < 1


def test_a_second_signal_leaves_no_child() -> None:
    with process({"shutdown_seconds": 60}, placement="process", step_seconds=0.02) as server:
        server.wait_ready()
        children = descendants(server.popen.pid)
        assert children
        body = {**LONG, "stream": True}
        with httpx.stream("POST", server.url + "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            wait_status(server, 503)
            server.popen.send_signal(signal.SIGTERM)
            code, took, _ = server.ends(5)
    assert code == 128 + signal.SIGTERM
    assert took < 1
    deadline = time.monotonic() + 2
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "a child outlives its server"
        time.sleep(0.01)


def test_a_hangup_reads_the_keys_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-one\n")
    with process({"api_keys_file": str(file)}) as server:
        server.wait_ready()
        file.write_text("sk-two\n")
        server.popen.send_signal(signal.SIGHUP)
        headers = {"Authorization": "Bearer sk-two"}
        deadline = time.monotonic() + 5
        while httpx.get(server.url + "/models", headers=headers).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.popen.send_signal(signal.SIGTERM)
        code, _, log = server.ends(10)
    assert code == 0
    assert "read the keys again" in log
    assert "sk-" not in log


def test_it_can_be_stopped_while_it_loads() -> None:
    with process(load_seconds=600) as server:
        assert server.popen.stdout is not None
        assert "http://" in server.popen.stdout.readline()
        time.sleep(0.5)
        server.popen.send_signal(signal.SIGTERM)
        code, took, _ = server.ends(10)
    assert code == 0
    assert took < 4


def test_an_engine_that_hangs_does_not_keep_it_alive() -> None:
    with process({"shutdown_seconds": 0.2}, hang_at_step=3) as server:
        server.wait_ready()
        body = {**LONG, "stream": True}
        with httpx.stream(
            "POST", server.url + "/chat/completions", json=body, timeout=20
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.popen.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line.startswith("data: ")]
        assert json.loads(rest[-2].removeprefix("data: "))["error"]["code"] == "engine_closed"
        code, _, _ = server.ends(20)
    assert code == 0


def test_the_port_is_bound_before_the_model_has_loaded() -> None:
    with process(load_seconds=2) as server:
        assert server.popen.stdout is not None
        url = server.popen.stdout.readline().split()[-1]
        root = url.removesuffix("/v1")
        assert httpx.get(root + "/livez").status_code == 200
        assert httpx.get(root + "/health").status_code == 503
        answer = httpx.post(url + "/chat/completions", json={**LONG, "max_tokens": 1})
        assert answer.json()["error"]["code"] == "model_loading"
        server.url = url
        deadline = time.monotonic() + 20
        while httpx.get(root + "/health").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_port_in_use_is_said_before_anything_loads() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process({"port": port}) as server:
            code, _, log = server.ends(30)
    assert code == 1
    assert f"port {port}" in log
    assert "set server.port" in log


def test_an_open_address_without_a_key_is_refused() -> None:
    with process({"host": "0.0.0.0"}) as server:
        code, _, log = server.ends(30)
    assert code == 1
    assert "ENGINEBAY_SERVER__API_KEY" in log


def test_the_log_is_calm_and_tells_no_prompt() -> None:
    with process() as server:
        server.wait_ready()
        body = {**LONG, "max_tokens": 2, "messages": [{"role": "user", "content": "a secret"}]}
        assert httpx.post(server.url + "/chat/completions", json=body).status_code == 200
        server.popen.send_signal(signal.SIGTERM)
        _, _, log = server.ends(10)
    lines = log.splitlines()
    assert any("toy is ready" in line for line in lines)
    assert any("method=POST path=/v1/chat/completions" in line for line in lines)
    assert "secret" not in log
    assert "/health" not in log
    assert len(lines) <= 6, log
