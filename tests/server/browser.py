"""A real browser without a window, over the pipe of its own debugging protocol."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Tab:
    """One open page."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading, self._writing = reading, writing
        self._count = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Runtime.enable")
        self._call("Log.enable")
        self._call("Page.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression, as JSON: an element is ``{}``. A promise is waited for."""
        told = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script: str, seconds: float = 60.0) -> Any:
        """The value of an expression, once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, (script, self.complaints)
            time.sleep(0.05)
        return value

    def _call(self, method: str, **params: Any) -> Any:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._writing.write(json.dumps(message).encode() + b"\0")
        self._writing.flush()
        while (told := self._receive()).get("id") != self._count:
            self._note(told)
        assert "error" not in told, told
        return told["result"]

    def _receive(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._reading.read(1)) != b"\0":
            assert byte, "the browser ended"
            text += byte
        received: dict[str, Any] = json.loads(text)
        return received

    def _note(self, event: dict[str, Any]) -> None:
        """What a developer would see in red."""
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])


@contextmanager
def browsing(program: str) -> Iterator[Tab]:
    """The browser reads its file descriptor 3 and writes to 4."""
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shell = f'exec "$@" 3<&{their_in} 4>&{their_out}'
        process = subprocess.Popen(
            ["bash", "-c", shell, "bash", program, *FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(their_in, their_out),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(their_in)
        os.close(their_out)
        try:
            with os.fdopen(our_in, "rb") as reading, os.fdopen(our_out, "wb") as writing:
                yield Tab(reading, writing)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its helpers too
            process.wait()
