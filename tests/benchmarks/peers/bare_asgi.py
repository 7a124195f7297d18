"""What the server framework allows: frames of the same size, sent by an app that does only that."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.benchmarks.peers.served import Served, listening

_APP: Final = Path(__file__).parents[1] / "asgi_app.py"


def bare_asgi(name: str, log: Path, cpu: int) -> AbstractContextManager[Served]:
    """On uvicorn, with the loop and the parser that EngineBay's server gets."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--log-level", "warning"]
    app = ["--app-dir", str(_APP.parent), f"{_APP.stem}:app"]
    return listening(name, lambda port: [*uvicorn, *app, "--port", str(port)], "none", log, cpu)
