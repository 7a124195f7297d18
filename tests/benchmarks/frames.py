"""The HTTP stack by itself: frames per second of a server on one core, the client on another."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.benchmarks.contender import awake
from tests.benchmarks.names import ASGI, OURS
from tests.benchmarks.peers import Served, bare_asgi, enginebay_frames
from tests.benchmarks.processes import Child
from tests.benchmarks.results import Measured

NAME: Final = "frames"
TITLE: Final = "SSE frames of the HTTP stack on one core: toy engine, 32 streams, a frame per token"
STREAMS: Final = 32
TOKENS: Final = 1800
REPETITIONS: Final = 5
_CLIENT: Final = Path(__file__).with_name("frame_client.py")


def measure_frames(logs: Path, measured: Measured, tokens: int = TOKENS) -> None:
    """EngineBay and the bare ASGI app in turn on one core, and the client on another."""
    cores = two_cores()
    if cores is None:
        measured.missing[OURS] = "server and client need a core each, and a system that pins"
        return
    server, client = cores
    with ExitStack() as stack:
        pair = [
            stack.enter_context(enginebay_frames(OURS, logs / "toy.log", STREAMS, server)),
            stack.enter_context(bare_asgi(ASGI, logs / "asgi.log", server)),
        ]
        for served in pair:
            frames_per_second(served, 100, client, "warm", logs)
            served.child.freeze()
        for repetition in range(REPETITIONS):
            for served in pair:
                with awake(served):
                    rate = frames_per_second(served, tokens, client, repetition, logs)
                measured.add(served.name, {"frames_per_second": rate})
                print(f"  {served.name}, run {repetition + 1}: {rate:,.0f} frames/s", flush=True)


def frames_per_second(served: Served, tokens: int, cpu: int, seed: object, logs: Path) -> float:
    """Counting those that carry a token. Raises ChildDied, or ValueError where fewer frames came
    than tokens were asked for.
    """
    parts = urlsplit(served.url)
    body = {
        "model": served.model,
        "messages": [{"role": "user", "content": f"{seed!r}: never sent before"}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
    }
    place = [str(parts.hostname), str(parts.port), f"{parts.path}/chat/completions"]
    command: list[str | Path] = [sys.executable, _CLIENT, *place, json.dumps(body), str(STREAMS)]
    with Child(command, logs / "frame-client.log", cpus=[cpu], pipes=True) as child:
        said = json.loads(child.hear())
    if said["frames"] < STREAMS * tokens:
        raise ValueError(f"{said['frames']} frames came for {STREAMS} × {tokens} tokens")
    return float(STREAMS * tokens / said["seconds"])


def two_cores() -> tuple[int, int] | None:
    """One for the server and one for the client; None where there is no telling them apart."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else None
