"""Two questions to a real server through the official OpenAI SDK, streamed to the terminal.

``make demo`` runs it: a server is started on a free port, asked, and stopped.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

START_SECONDS = 180.0
STOP_SECONDS = 30.0
QUESTIONS: list[list[ChatCompletionMessageParam]] = [
    [
        {"role": "system", "content": "你是一个乐于助人的 AI 助手。"},
        {"role": "user", "content": "你好!请介绍一下你自己。"},
    ],
    [{"role": "user", "content": "What is EngineBay?"}],
]


def main() -> int:
    """Exit code 0 when both questions were answered and the server ended cleanly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", default="numpy", help="an installed backend (default: numpy)")
    backend = parser.parse_args().backend
    with running_server(backend) as base_url:
        print(f"--- the bundled model on the backend {backend!r}, at {base_url}")
        client = OpenAI(base_url=base_url, api_key="none-needed-on-loopback")
        answers = [ask(client, messages) for messages in QUESTIONS]
    return 0 if all(answers) else 1


def ask(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> str:
    """Print the question, then the answer as it comes."""
    for message in messages:
        print(f"\n{message['role']}: {message.get('content')}", end="", flush=True)
    print("\nassistant: ", end="", flush=True)
    stream = client.chat.completions.create(
        model="pocket", messages=messages, temperature=0, stream=True
    )
    answer = ""
    for chunk in stream:
        piece = chunk.choices[0].delta.content or ""
        print(piece, end="", flush=True)
        answer += piece
    print()
    return answer


@contextmanager
def running_server(backend: str) -> Iterator[str]:
    """A server of its own on a free port; stopped, and checked to have ended well, at the end."""
    port = free_port()
    command = [sys.executable, "-m", "enginebay_server", "serve", "pocket"]
    command += ["--backend", backend, "--port", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    log = ServerLog(server)
    log.start()
    try:
        wait_until_healthy(server, port)
        log.shown = False
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        stop(server)
        log.join()
    if server.returncode != 0:
        print("".join(log.kept), file=sys.stderr)
    print(f"\n--- the server ended with exit code {server.returncode}")
    if server.returncode != 0:
        raise SystemExit("it should have been 0")


class ServerLog(threading.Thread):
    """The server's log: shown while it loads, then kept, or it would stand amid the answers."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        super().__init__()
        self.shown = True
        self.kept: list[str] = []
        self._server = server

    def run(self) -> None:
        assert self._server.stderr is not None
        with self._server.stderr as lines:
            for line in lines:
                if self.shown:
                    print(line, end="", file=sys.stderr, flush=True)
                else:
                    self.kept.append(line)


def wait_until_healthy(server: subprocess.Popen[str], port: int) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with exit code {server.returncode}; see above")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server was not ready within {START_SECONDS:g} seconds")


def stop(server: subprocess.Popen[str]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
