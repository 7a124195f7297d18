"""What a process holds for as long as it runs, apart from what its requests make."""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Full collections no longer walk what is alive now: called once a model is loaded.

    A server that has imported its libraries holds some hundred thousand objects. Walking all of
    them stops every thread for about 0.1 s, whenever requests have made enough new ones. For
    processes that are ours alone: cycles that are frozen are never freed.
    """
    gc.collect()
    gc.freeze()
