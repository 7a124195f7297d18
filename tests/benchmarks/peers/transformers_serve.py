"""``transformers serve``, plain or with continuous batching."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.benchmarks.peers.served import Served, serving

BLOCKS: Final = 160
"""Of 256 tokens, which is more than any scenario needs; the default would be nearly all memory."""


def transformers_serve(
    name: str, python: Path, model: Path, log: Path, *, device: str, continuous_batching: bool
) -> AbstractContextManager[Served]:
    program = ["-c", "from transformers.cli.transformers import main; main()", "serve", str(model)]
    options = ["--device", device, "--host", "127.0.0.1"]
    if continuous_batching:
        options += ["--continuous-batching", "--cb-num-blocks", str(BLOCKS)]
    return serving(
        name, lambda port: [python, *program, *options, "--port", str(port)], str(model), log
    )
