"""However the server ends, nothing of it is left: no process, no socket, no directory."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .faulty import family, gone, left_in

SERVER = """
import asyncio, sys
from enginebay_core.api import GenerationRequest
from enginebay_core.config import ModelConfig
from enginebay_core.placement import open_model

config = ModelConfig(
    backend="faulty", model="toy", placement="process", options={"grandchild": True, "at_load": %r}
)
model = open_model("mine", config, lambda *_: None)
print("open", flush=True)

async def run(first):
    async for _ in model.generator.generate(GenerationRequest((first, 104), 1900)):
        print("step", flush=True)

asyncio.run(run(%d))
"""


def serve(at_load: str = "", first: int = 100) -> subprocess.Popen[bytes]:
    code = SERVER % (at_load, first)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def end(server: subprocess.Popen[bytes], number: int) -> list[int]:
    """All its descendants at that moment, which are then to be gone."""
    descendants = family(server.pid)[1:]
    server.send_signal(number)
    server.wait(10)
    assert server.stdout is not None
    server.stdout.close()
    return descendants


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_while_it_works(faulty: Path, number: int) -> None:
    server = serve()
    assert server.stdout is not None
    assert server.stdout.readline() == b"open\n"
    assert server.stdout.readline() == b"step\n"
    assert left_in(faulty) == []
    descendants = end(server, number)
    assert len(descendants) == 2
    assert gone(descendants)
    assert left_in(faulty) == []


def test_while_native_code_holds_the_interpreter(faulty: Path) -> None:
    server = serve(first=5)
    assert server.stdout is not None
    assert server.stdout.readline() == b"open\n"
    time.sleep(0.3)
    descendants = end(server, signal.SIGKILL)
    assert len(descendants) == 2
    assert gone(descendants)


def test_while_it_starts(faulty: Path) -> None:
    """At many moments between its first import and the loading of the model."""
    begun = time.monotonic()
    servers = [serve(at_load="hang") for _ in range(6)]
    for index, server in enumerate(servers):
        time.sleep(max(0.0, begun + 0.5 + 0.3 * index - time.monotonic()))
        assert gone(end(server, signal.SIGKILL))
    ends = time.monotonic() + 5
    while left_in(faulty) and time.monotonic() < ends:
        time.sleep(0.02)
    assert left_in(faulty) == []
