"""What a loaded model holds is left out of full collections."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from enginebay_core.placement.heap import freeze_heap

lasting = [[] for _ in range(100_000)]
freeze_heap()
print(len(gc.get_objects()))
cycle = []
cycle.append(cycle)
del cycle
print(gc.collect())
"""


def test_later_collections_do_not_walk_it_and_still_free_what_is_new() -> None:
    """In a process of its own: nothing thaws a heap."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    walked, freed = map(int, run.stdout.split())
    assert walked < 1000
    assert freed == 1
