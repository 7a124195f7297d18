"""What the server framework allows: frames of the same size, sent by an app that does only that."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.peers.served import Served, free_port
from tests.benchmarks.processes import Child

_APP = Path(__file__).parents[1] / "asgi_app.py"


@contextmanager
def bare_asgi(logs: Path, cpus: Sequence[int]) -> Iterator[Served]:
    """On uvicorn, with the loop and the parser that EngineBay's server gets."""
    port = free_port()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        _APP.parent,
        "asgi_app:app",
    ]
    command += ["--port", str(port), "--log-level", "warning"]
    with Child(command, logs / "bare-asgi.log", cpus=cpus) as child:
        yield Served("bare ASGI app", child, f"http://127.0.0.1:{port}/v1", "none")
