"""One model's process dies or hangs while another model streams, behind a whole server."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.served import ASK, Served, children, serving, wait

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


def victim(served: Served) -> int:
    marked = [pid for pid in children(served.popen.pid) if f"{MARK}=1" in environment(pid)]
    assert len(marked) == 1
    return marked[0]


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(CONFIG, {MARK: "1"}) as started:
        yield started


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_other_model_does_not_notice(served: Served, number: int) -> None:
    whole = "".join(served.stream("steady"))
    expected = served.ask("victim").json()["choices"]
    received = ""
    for count, text in enumerate(served.stream("steady")):
        received += text
        if count == 20:
            os.kill(victim(served), number)
    assert received == whole
    answer = served.ask("victim")
    if answer.status_code != 200:  # the signal was not noticed before, or the restart goes on
        assert answer.json()["error"]["code"] in ("engine_crashed", "overloaded")
    assert served.health == 200
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
                os.kill(victim(served), signal.SIGSEGV)
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
