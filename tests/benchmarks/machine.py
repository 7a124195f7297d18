"""Is this machine quiet enough to measure on, and what is it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

MOST_BUSY: Final = 0.05
"""Share of all cores that others may use while this process sleeps."""

LEAST_SHARE: Final = 0.97
"""Share of its core that a process must get while every core has one."""

LOOK_SECONDS: Final = 2.0
SPIN_SECONDS: Final = 0.5
TURNS: Final = 3
_STAT: Final = Path("/proc/stat")
_SPIN: Final = Path(__file__).with_name("spin.py")


class Busy(Exception):
    """Something else runs here; the message says how much."""


def require_quiet(patience: float = 0.0) -> None:
    """Raises Busy where the machine is, and stays so for ``patience`` seconds."""
    ends = time.monotonic() + patience
    while what := busy_with():
        if time.monotonic() >= ends:
            raise Busy(what)
        time.sleep(min(5.0, max(0.0, ends - time.monotonic())))


def busy_with() -> str:
    """What is seen of others' work; empty on a quiet machine."""
    used = used_share()
    if used > MOST_BUSY:
        return f"others use {100 * used:.0f} % of its {core_count()} cores"
    return too_little(core_share())


def too_little(share: float) -> str:
    """In words, a ``share`` of a core that is less than it must be; else empty."""
    if share >= LEAST_SHARE:
        return ""
    return f"a loop on every core got {100 * share:.0f} % of its core"


def used_share(seconds: float = LOOK_SECONDS) -> float:
    """Share of all cores that is in use while this process sleeps. Where there is no /proc/stat
    it is guessed from the load average of the last minute.
    """
    if not _STAT.exists():
        return min(1.0, os.getloadavg()[0] / core_count())
    busy, whole = _processor_times()
    time.sleep(seconds)
    busy_after, whole_after = _processor_times()
    return (busy_after - busy) / max(1, whole_after - whole)


def core_share(seconds: float = SPIN_SECONDS) -> float:
    """The least processor time per wall time that a loop on every core at once gets; the best of
    a few turns, for a short disturbance is none.
    """
    return max(min(_spin_everywhere(seconds)) for _ in range(TURNS))


def core_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _processor_times() -> tuple[int, int]:
    """Ticks since the start of the system that cores were busy, and all. Idle is the fourth, and
    waiting for input and output the fifth; guests' time, after the eighth, is in the first already.
    """
    ticks = [int(word) for word in _STAT.read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _spin_everywhere(seconds: float) -> list[float]:
    command = [sys.executable, str(_SPIN), str(seconds)]
    with ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for _ in range(core_count())
        ]
        return [float(child.communicate()[0]) for child in children]
