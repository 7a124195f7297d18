"""``enginebay serve``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.benchmarks.peers.served import Command, Served, listening, serving

MODEL: Final = "bench"


def enginebay(
    name: str, model: Path, log: Path, options: Mapping[str, str | int]
) -> AbstractContextManager[Served]:
    """One model on the transformers backend with these options."""
    return serving(name, _command(log, "transformers", str(model), options), MODEL, log)


def enginebay_toy(name: str, log: Path, streams: int, cpu: int) -> AbstractContextManager[Served]:
    """The engine that only hashes, so that all time is the server's. It speaks bytes, not pieces:
    only a client that counts frames can ask it.
    """
    return listening(name, _command(log, "toy", "toy", {"max_sequences": streams}), MODEL, log, cpu)


def _command(log: Path, backend: str, model: str, options: Mapping[str, str | int]) -> Command:
    config = log.with_suffix(".toml")
    lines = [
        f"[models.{MODEL}]",
        f"backend = {json.dumps(backend)}",
        f"model = {json.dumps(model)}",
        f"[models.{MODEL}.options]",
        *(f"{key} = {json.dumps(value)}" for key, value in options.items()),
    ]
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("\n".join(lines) + "\n")
    serve = [sys.executable, "-m", "enginebay_server", "serve", "--config", str(config)]
    return lambda port: [*serve, "--port", str(port)]
