"""Exports in a process of its own: what reference and exporter import, and the memory they take,
must not stay with a server that only wants the result.

The child writes one JSON object per line: ``{"progress": [stage, done, total]}`` and, before it
gives up, ``{"error": message, "kind": class}``. Its log goes where the parent's goes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import EngineBayError, ModelError, PluginError, Progress
from enginebay_core.export.gate import GateClosed

MODULE: Final = "enginebay_core.export"
KINDS: Final = (GateClosed, PluginError, ModelError)
"""What crosses the border, the more special first; anything else becomes the last."""


def run_apart(arguments: Sequence[str | Path], progress: Progress) -> None:
    """Run the module with ``arguments`` to its end. Raises what it raised; where it died without
    a word, ModelError.
    """
    command = [sys.executable, "-m", MODULE, *map(str, arguments)]
    with subprocess.Popen(  # noqa: S603 - this interpreter, our own module
        command, stdout=subprocess.PIPE, encoding="utf-8"
    ) as child:
        try:
            _follow(child, progress)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise ModelError(
            f"the export ended with exit code {child.returncode}; the log says why, unless it was "
            "killed, as a system short of memory does"
        )


def _follow(child: subprocess.Popen[str], progress: Progress) -> None:
    assert child.stdout is not None
    kinds = {kind.__name__: kind for kind in KINDS}
    for line in child.stdout:
        said = json.loads(line)
        if "error" in said:
            raise kinds[said["kind"]](said["error"])
        progress(*said["progress"])


def serve_parent(work: Callable[[Progress], None]) -> int:
    """The child's side: do ``work`` and tell the parent; the exit code."""
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to the log

    def say(**words: Any) -> None:
        wire.write(json.dumps(words) + "\n")
        wire.flush()

    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        say(progress=[stage, done, total])

    try:
        work(progress)
    except EngineBayError as error:
        kind = next((kind for kind in KINDS if isinstance(error, kind)), ModelError)
        say(error=str(error), kind=kind.__name__)
        return 1
    return 0
