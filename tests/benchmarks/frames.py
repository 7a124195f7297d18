"""The HTTP stack by itself: frames per second of a server on one core, the client on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.benchmarks.peers import Served

STREAMS: Final = 32
_CLIENT: Final = Path(__file__).with_name("frame_client.py")
_LEASH: Final = Path(__file__).with_name("leash.py")


def frames_per_second(served: Served, max_tokens: int, cpu: int, seed: object) -> float:
    """Raises CalledProcessError, or ValueError where fewer frames came than tokens were asked."""
    parts = urlsplit(served.url)
    content = f"{seed!r} is a prompt that was never sent before"
    body = {
        "model": served.model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }
    place = [str(parts.hostname), str(parts.port), f"{parts.path}/chat/completions"]
    command = [sys.executable, str(_LEASH), str(cpu), sys.executable, str(_CLIENT), *place]
    child = subprocess.run(
        [*command, json.dumps(body), str(STREAMS)], stdout=subprocess.PIPE, text=True, check=True
    )
    said = json.loads(child.stdout)
    if said["frames"] < STREAMS * max_tokens:
        raise ValueError(f"{said['frames']} frames came for {STREAMS} × {max_tokens} tokens")
    return float(said["frames"] / said["seconds"])


def two_cores() -> tuple[int, int] | None:
    """One for the server and one for the client; None where there is no telling them apart."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else None
