"""What the toy can be told to do wrong while it loads."""

from __future__ import annotations

import time

from enginebay_core.api import ModelError, Progress


def load_slowly(seconds: float, fail: bool, progress: Progress) -> None:
    """Take ``seconds``, with progress, then fail if told to."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        progress("pretending to load", int(100 * (1 - left / seconds)), 100)
        time.sleep(min(left, 0.05))
    if fail:
        raise ModelError("the toy was told to fail while loading")
