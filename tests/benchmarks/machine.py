"""Is this machine quiet enough to measure on, and what is it."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

QUIET_LOAD: Final = 0.5
"""Load average over a minute, per core, above which nothing is measured."""

QUIET_SHARE: Final = 0.97
"""Share of its core that a process must get while every core has one."""

SPIN_SECONDS: Final = 1.0
TURNS: Final = 3


class Busy(Exception):
    """Something else runs here; the message says how it was seen."""


@dataclass(frozen=True)
class Calibration:
    """A fixed loop on every core at once. ``share`` is the least processor time per wall time that
    any got, and ``speed`` the median number of turns of the loop per second of processor time.
    """

    share: float
    speed: float


def require_quiet(patience: float = 0.0) -> Calibration:
    """Raises Busy where the machine is, and stays so for ``patience`` seconds."""
    ends = time.monotonic() + patience
    while True:
        try:
            return _look()
        except Busy:
            if time.monotonic() + 5 > ends:
                raise
            time.sleep(5)


def _look() -> Calibration:
    cores = core_count()
    load = os.getloadavg()[0] / cores
    if load > QUIET_LOAD:
        raise Busy(
            f"the load average is {load:.2f} per core, over {QUIET_LOAD:g}; end what else runs and "
            "wait a minute, or pass --wait SECONDS"
        )
    found = calibrate()
    if found.share < QUIET_SHARE:
        raise Busy(
            f"a loop on every core got {100 * found.share:.0f} % of its core, under "
            f"{100 * QUIET_SHARE:.0f} %; end what else runs, or pass --wait SECONDS"
        )
    return found


def calibrate(seconds: float = SPIN_SECONDS) -> Calibration:
    """The best of a few turns: a short disturbance is none."""
    cores = core_count()
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        pool.map(_spin, [0.01] * cores)
        turns = [pool.map(_spin, [seconds] * cores, chunksize=1) for _ in range(TURNS)]
    share = max(min(share for share, _ in turn) for turn in turns)
    return Calibration(share, statistics.median(speed for turn in turns for _, speed in turn))


def _spin(seconds: float) -> tuple[float, float]:
    """Share of a core, and turns per second of processor time."""
    started, used, turns = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < seconds:
        sum(range(1000))
        turns += 1
    used = time.process_time() - used
    return used / (time.perf_counter() - started), turns / used


def core_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
