"""``enginebay serve``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.benchmarks.peers.served import Command, Served, listening, serving

MODEL: Final = "bench"


@dataclass(frozen=True)
class Setup:
    """One model's entry in the config. ``placement`` empty is the default one."""

    backend: str
    model: str
    options: Mapping[str, str | float] = field(default_factory=dict)
    placement: str = ""

    def command(self, log: Path) -> Command:
        config = log.with_suffix(".toml")
        placement = [f"placement = {json.dumps(self.placement)}"] if self.placement else []
        lines = [
            f"[models.{MODEL}]",
            f"backend = {json.dumps(self.backend)}",
            f"model = {json.dumps(self.model)}",
            *placement,
            f"[models.{MODEL}.options]",
            *(f"{key} = {json.dumps(value)}" for key, value in self.options.items()),
        ]
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("\n".join(lines) + "\n")
        serve = [sys.executable, "-m", "enginebay_server", "serve", "--config", str(config)]
        return lambda port: [*serve, "--port", str(port)]


def enginebay(name: str, setup: Setup, log: Path) -> AbstractContextManager[Served]:
    return serving(name, setup.command(log), MODEL, log)


def enginebay_toy(
    name: str, log: Path, options: Mapping[str, str | float], placement: str
) -> AbstractContextManager[Served]:
    """Its tokens are bytes, and it writes ASCII alone."""
    command = Setup("toy", "toy", options, placement).command(log)
    return serving(name, command, MODEL, log, count=len)


def enginebay_frames(
    name: str, log: Path, streams: int, cpu: int
) -> AbstractContextManager[Served]:
    """The toy on one core, so that all time is the server's, for a client that counts frames."""
    setup = Setup("toy", "toy", {"max_sequences": streams})
    return listening(name, setup.command(log), MODEL, log, cpu)
