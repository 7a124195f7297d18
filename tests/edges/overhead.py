"""What names, keys, quotas and bounds cost per streamed token: ``python -m tests.edges.overhead``.

CPU time of the server's process, which other work on the machine moves less than the clock. Two
servers on the toy engine take turns: one with everything on, and one whose app and connections are
stripped of it.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.frame_client import count_frames
from tests.edges.target import KEY

STREAMS = 32
TOKENS = 1000
REPETITIONS = 7
BAR = 1.10

SERVER = """
import json, sys
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from enginebay_server.app import build_app
from enginebay_server.config import load_settings
from enginebay_server.models import ModelTable
from enginebay_server.run import Server, listen, url_of

stripped, config = sys.argv[1] == "stripped", json.loads(sys.argv[2])
settings = load_settings(None, config)
listener = listen(settings.server)
url = url_of(settings.server, listener)
app = build_app(settings.server, ModelTable(settings.models), url)
if stripped:
    app.user_middleware.clear()
server = Server(app, settings.server)
if stripped:
    server.config.http = AutoHTTPProtocol
print(url, flush=True)
server.run([listener])
"""
QUOTAS = {"requests_per_minute": 10**9, "tokens_per_minute": 10**12, "concurrent_requests": 10**6}
CONFIG = {
    "server": {"port": 0, "api_key": KEY, "per_key": QUOTAS},
    "models": {"m": {"backend": "toy", "model": "toy", "options": {"max_sequences": STREAMS}}},
}


def main() -> int:
    with serving("stripped") as bare, serving("whole") as whole:
        for server in (bare, whole):
            cost(server, 100)
        pairs = [(cost(bare, TOKENS), cost(whole, TOKENS)) for _ in range(REPETITIONS)]
    ratio = statistics.median(second / first for first, second in pairs)
    first, second = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    print(f"CPU per streamed token: {first:.2f} µs without, {second:.2f} µs with; × {ratio:.3f}")
    return 0 if ratio <= BAR else 1


@contextmanager
def serving(kind: str) -> Iterator[tuple[int, int]]:
    """Process id and port."""
    command = [sys.executable, "-c", SERVER, kind, json.dumps(CONFIG)]
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert popen.stdout is not None
        yield popen.pid, int(popen.stdout.readline().split("/v1")[0].rsplit(":", 1)[1])
    finally:
        popen.kill()
        popen.communicate()


def cost(server: tuple[int, int], tokens: int) -> float:
    """Seconds of CPU per token; tries again while the model loads."""
    pid, port = server
    body = {"model": "m", "max_tokens": tokens, "temperature": 0, "stream": True}
    payload = json.dumps({**body, "messages": [{"role": "user", "content": os.urandom(8).hex()}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}"
    head += "\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(payload)}\r\n\r\n{payload}".encode()
    while True:
        before = cpu_seconds(pid)
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(STREAMS)]
        for one in sockets:
            one.sendall(request)
        if count_frames(sockets) >= STREAMS * tokens:
            return (cpu_seconds(pid) - before) / (STREAMS * tokens)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
