"""``python -m enginebay_core.export MODEL FORMAT PRECISION TARGET``, for ``worker.run_apart``."""

from __future__ import annotations

import sys
from pathlib import Path

from enginebay_core.api import Progress
from enginebay_core.export.export import make
from enginebay_core.export.worker import serve_parent


def main() -> int:
    model, format_, precision, target = sys.argv[1:]

    def work(progress: Progress) -> None:
        make(Path(model), format_, precision, Path(target), progress)

    return serve_parent(work)


if __name__ == "__main__":
    sys.exit(main())
