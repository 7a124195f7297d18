"""What a backend may leave behind in the process: threads, children, open files, tasks."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

GRACE_SECONDS: Final = 1.5
SHARED_THREADS: Final = ("asyncio_", "tqdm", "contract-engine")
"""Pools that libraries make once and keep: the event loop's own, tqdm's monitor, and ours."""


def traces() -> Counter[str]:
    """Each thing by a name that says what it is. Threads of native libraries are not seen; open
    files only on Linux.
    """
    found = Counter(f"thread {thread.name!r}" for thread in threading.enumerate())
    found.update(f"child process {child.pid}" for child in multiprocessing.active_children())
    found.update(_proc_children())
    found.update(_open_files())
    return Counter({name: count for name, count in found.items() if not _shared(name)})


def left_since(before: Counter[str]) -> list[str]:
    """What is there now and was not then, after a moment's grace to end."""
    ends = time.monotonic() + GRACE_SECONDS
    while True:
        gc.collect()
        left = traces() - before
        if not left or time.monotonic() > ends:
            return sorted(left.elements())
        time.sleep(0.05)


def _shared(name: str) -> bool:
    return name.startswith(tuple(f"thread '{prefix}" for prefix in SHARED_THREADS))


def _proc_children() -> list[str]:
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found += [f"child process {pid}" for pid in task.read_text().split()]
        except OSError:  # the thread has ended since
            continue
    return found


def _open_files() -> list[str]:
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        try:
            found.append(f"open file {os.readlink(link)}")
        except OSError:  # the one that the listing itself had open
            continue
    ours = {f"open file {path}" for path in _standard_streams()}
    return [name for name in found if "/proc/" not in name and name not in ours]


def _standard_streams() -> list[str]:
    """Pytest makes copies of them as it runs."""
    links = [f"/proc/self/fd/{number}" for number in range(3)]
    return [os.devnull, *(os.readlink(link) for link in links if os.path.lexists(link))]
