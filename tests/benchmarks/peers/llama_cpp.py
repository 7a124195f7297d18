"""The server of llama-cpp-python, on the same weights as a GGUF file in bfloat16."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.benchmarks.machine import core_count
from tests.benchmarks.peers.served import Served, serving

_WRITER: Final = Path(__file__).parents[1] / "gguf_file.py"


def llama_cpp(
    name: str, python: Path, model: Path, log: Path, *, context: int
) -> AbstractContextManager[Served]:
    """It answers one request at a time. By default a new request ends the running one, logits are
    computed for the whole prompt, and half of the cores are used: none of these here.
    """
    file = model / "model.gguf"
    if not file.exists():
        subprocess.run([str(python), str(_WRITER), str(model), str(file)], check=True)
    options = {
        "model": file,
        "model_alias": "bench",
        "n_ctx": context,
        "n_threads": core_count(),
        "n_threads_batch": core_count(),
        "logits_all": False,
        "interrupt_requests": False,
        "host": "127.0.0.1",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return serving(
        name,
        lambda port: [python, "-m", "llama_cpp.server", *words, "--port", str(port)],
        "bench",
        log,
    )
