"""``transformers serve``, plain or with continuous batching."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks.peers.served import Served, serving


def transformers_serve(
    name: str,
    python: Path,
    model: Path,
    logs: Path,
    *,
    continuous_batching: bool,
    device: str,
    blocks: int | None,
) -> AbstractContextManager[Served]:
    """``blocks`` of 256 tokens are its KV cache; None leaves that to it."""
    options = ["--device", device, "--attn-implementation", "sdpa"]
    if continuous_batching:
        options.append("--continuous-batching")
        options += [] if blocks is None else ["--cb-num-blocks", str(blocks)]
    program = ["-c", "from transformers.cli.transformers import main; main()"]
    return serving(
        name,
        lambda port: [
            python,
            *program,
            "serve",
            model,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *options,
        ],
        str(model),
        logs / f"{name.replace(' ', '-')}.log",
    )
