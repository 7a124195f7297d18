"""`enginebay chat` in pipes and on a terminal, with our server and with another's."""

import json
import os
import pty
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ENGINEBAY, Chat, Served, environment

CTRL_C = "\x03"
CTRL_D = "\x04"


def test_once(chat: Chat, toys: Served) -> None:
    done = chat("--url", toys.url, "--once", "Hello!")
    assert done.code == 0
    assert len(done.out) > 20
    assert done.out.endswith("\n")
    assert re.search(r"\d+ tokens, [\d.]+ tokens/s, the first after [\d.]+ s", done.err)
    assert "\x1b" not in done.out + done.err


def test_a_pipe_is_read_line_by_line_without_prompts(chat: Chat, toys: Served) -> None:
    done = chat("--url", toys.url, "--model", "gpt-4o-mini", typed="Hi\n\n/new\nHi\n")
    assert done.code == 0
    first, second = done.out.splitlines()
    assert first == second
    assert "> " not in done.err


def test_the_conversation_and_the_system_message_reach_the_model(chat: Chat, toys: Served) -> None:
    """The toy's next id depends on every id before."""
    plain = chat("--url", toys.url, typed="Hi\nHi\n")
    told = chat("--url", toys.url, "--system", "Be brief.", typed="Hi\n")
    later = chat("--url", toys.url, typed="/system Be brief.\nHi\n")
    assert plain.code == told.code == later.code == 0
    first, second = plain.out.splitlines()
    assert first != second
    assert first != told.out.strip()
    assert told.out == later.out


def test_commands(chat: Chat, toys: Served) -> None:
    typed = "/help\n/model slow\n/modle\n/model nobody\n/exit\nnot read\n"
    done = chat("--url", toys.url, typed=typed)
    assert done.out == ""
    assert "/system [TEXT]" in done.err
    assert "model: slow (of toy, " in done.err
    assert "there is no /modle; did you mean /model?" in done.err
    assert "no model 'nobody' there" in done.err
    assert done.code == 1


def test_nobody_there_says_how_to_start_one(chat: Chat) -> None:
    done = chat("--url", "http://127.0.0.1:9/v1", "--once", "Hi")
    assert (done.code, done.out) == (1, "")
    assert "enginebay serve" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nobody", "No model 'nobody' is configured here"),
        ("gone", "Model 'gone' failed to load"),
        ("fails", "'toy'"),
    ],
)
def test_the_servers_errors_are_words(chat: Chat, toys: Served, model: str, said: str) -> None:
    done = chat("--url", toys.url, "--model", model, "--once", "Hi")
    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_wrong_base_url_is_told(chat: Chat, toys: Served) -> None:
    done = chat("--url", toys.url.removesuffix("/v1"), "--once", "Hi")
    assert done.code == 1
    assert "did you mean" in done.err


class Terminal:
    """A person at `enginebay chat`, on a pseudo-terminal."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.master, slave = pty.openpty()
        self.child = subprocess.Popen(
            [*ENGINEBAY, "chat", *arguments],
            cwd=cwd,
            env=environment(TERM="xterm"),
            preexec_fn=partial(os.login_tty, slave),  # noqa: PLW1509 - Ctrl-C needs a terminal of its own
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        time.sleep(0.2)  # a person's pause: readline misses a signal between prompt and waiting
        os.write(self.master, text.encode())

    def read_until(self, pattern: str, seconds: float = 30) -> str:
        """What came since the last time, up to and with ``pattern``."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come; there was {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
        came, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return came


@contextmanager
def at_a_terminal(*arguments: str, cwd: Path) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, cwd=cwd)
    try:
        yield terminal
    finally:
        if terminal.child.poll() is None:
            terminal.child.kill()
        terminal.child.wait(30)
        os.close(terminal.master)


def test_ctrl_c_stops_the_answer_and_not_the_chat(toys: Served, tmp_path: Path) -> None:
    """``slow`` runs one answer at a time and would take 40 s for it, so that the second answer
    begins only when the first was really stopped.
    """
    with at_a_terminal("--url", toys.url, "--model", "slow", cwd=tmp_path) as terminal:
        terminal.read_until("slow at .*\n.*> ")
        for _ in range(2):
            terminal.type("Hello\n")
            terminal.read_until("Hello\r\n.{8}", seconds=10)
            terminal.type(CTRL_C)
            terminal.read_until("stopped.*\n.*> ", seconds=10)
        terminal.type(CTRL_D)
        assert terminal.child.wait(10) == 0


def test_ctrl_c_twice_ends_the_chat(toys: Served, tmp_path: Path) -> None:
    with at_a_terminal("--url", toys.url, cwd=tmp_path) as terminal:
        terminal.read_until("toy at .*\n.*> ")
        terminal.type("Hi\n")
        terminal.read_until("tokens/s.*\n.*> ")
        terminal.type(CTRL_C)
        terminal.read_until("again.*\n.*> ")
        terminal.type(CTRL_C)
        assert terminal.child.wait(10) == 130


class Another(BaseHTTPRequestHandler):
    """Another's server: thinks aloud, CR LF line ends, and a text that tries to steer terminals."""

    protocol_version = "HTTP/1.1"
    asked: dict[str, Any]

    def do_GET(self) -> None:
        self._send(b'{"object":"list","data":[{"id":"theirs"}]}', "application/json")

    def do_POST(self) -> None:
        type(self).asked = {
            **json.loads(self.rfile.read(int(self.headers["content-length"]))),
            "key": self.headers["authorization"],
        }
        deltas = [{"role": "assistant"}, {"reasoning": "hm\u2028m"}, {"content": "a\x1b[2J"}]
        frames: list[Any] = [{"choices": [{"delta": delta}]} for delta in deltas]
        frames += [{"choices": [], "usage": {"completion_tokens": 7}}]
        events = [json.dumps(frame, ensure_ascii=False) for frame in frames]
        text = ": ping\r\n\r\n" + "".join(f"data: {event}\r\n\r\n" for event in [*events, "[DONE]"])
        self._send(text.encode(), "text/event-stream")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, body: bytes, media: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def another() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Another) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def test_thinking_is_beside_the_answer_and_nobody_steers_the_terminal(
    chat: Chat, another: str
) -> None:
    done = chat("--url", another, "--key", "sesame", "--system", "S", "--once", "Hi")
    assert done.code == 0
    assert done.out == "a␛[2J\n"
    assert done.err.startswith("hm\u2028m\n")
    assert "7 tokens" in done.err
    assert Another.asked == {
        "model": "theirs",
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "key": "Bearer sesame",
    }


def test_thinking_is_dim_on_a_terminal(another: str, tmp_path: Path) -> None:
    with at_a_terminal("--url", another, "--once", "Hi", cwd=tmp_path) as terminal:
        came = terminal.read_until("7 tokens")
        assert terminal.child.wait(10) == 0
    assert "\x1b[2mhm" in came
    assert "\x1b[2J" not in came


def test_ctrl_c_ends_a_single_question(toys: Served, tmp_path: Path) -> None:
    once = ("--url", toys.url, "--model", "slow", "--once", "Hello")
    with at_a_terminal(*once, cwd=tmp_path) as terminal:
        terminal.read_until(".{8}")
        terminal.type(CTRL_C)
        assert terminal.child.wait(10) == 130
