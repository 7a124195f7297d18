"""Exports of the checkpoint, each made once, before anything is measured.

A program of its own, ``-m tests.benchmarks.exports MODEL FORMAT PRECISION``, on the Python that has
the exporter. It prints the directory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from enginebay_core.export import exported


def have_export(python: Path, model: Path, format_: str, precision: str, cache: Path) -> Path:
    """Below ``cache``; made only where it is not there yet. Raises CalledProcessError."""
    command = [str(python), "-m", __spec__.name, str(model), format_, precision]
    done = subprocess.run(
        command,
        env={**os.environ, "XDG_CACHE_HOME": str(cache.resolve())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(done.stdout.splitlines()[-1])


def main() -> None:
    model, format_, precision = sys.argv[1:]
    said = ""

    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        nonlocal said
        if stage != said:
            print(f"  {stage}", file=sys.stderr, flush=True)
            said = stage

    print(exported(Path(model), format_, precision, progress))


if __name__ == "__main__":
    main()
