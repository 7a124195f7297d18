"""``enginebay serve``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks.peers.served import Served, free_port, serving
from tests.benchmarks.processes import Child

MODEL: Final = "bench"


def enginebay(
    name: str,
    model: Path,
    logs: Path,
    *,
    backend: str = "transformers",
    options: Mapping[str, str | int],
) -> AbstractContextManager[Served]:
    """One model on ``backend`` with these options of its."""
    return serving(
        name,
        lambda port: _command(logs, port, backend, str(model), options),
        MODEL,
        logs / f"{name}.log",
    )


@contextmanager
def enginebay_toy(logs: Path, streams: int, cpus: Sequence[int]) -> Iterator[Served]:
    """The engine that only hashes, so that all time is the server's. It speaks bytes, not pieces:
    only a client that counts frames can ask it.
    """
    port = free_port()
    command = _command(logs, port, "toy", "toy", {"max_sequences": streams})
    with Child(command, logs / "enginebay-toy.log", cpus=cpus) as child:
        yield Served("EngineBay, toy engine", child, f"http://127.0.0.1:{port}/v1", MODEL)


def _command(
    logs: Path, port: int, backend: str, model: str, options: Mapping[str, str | int]
) -> list[str]:
    logs.mkdir(parents=True, exist_ok=True)
    config = logs / f"enginebay-{backend}.toml"
    settings = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    lines = [
        f"[models.{MODEL}]",
        f"backend = {json.dumps(backend)}",
        f"model = {json.dumps(model)}",
        f"[models.{MODEL}.options]",
        *settings,
    ]
    config.write_text("\n".join(lines) + "\n")
    serve = [sys.executable, "-m", "enginebay_server", "serve"]
    return [*serve, "--config", str(config), "--port", str(port)]
