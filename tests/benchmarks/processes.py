"""Child processes that surely stop, and hold still while another is measured."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.benchmarks.machine import core_count

GRACE: Final = 5.0
"""Seconds between asking and killing."""

_LEASH: Final = Path(__file__).with_name("leash.py")
_ON_LINUX: Final = sys.platform == "linux"
_PROC: Final = Path("/proc")


class ChildDied(Exception):
    """A process ended by itself; the message has the end of its log."""


class Child:
    """A process and all that it starts, ended with the block whatever they do about signals, and
    with this process if that is killed. It computes with as many threads as there are cores.
    ``cpus`` pins it. stdout and stderr go to ``log``; with ``pipes`` stdin and stdout are the
    caller's.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        cpus: Sequence[int] = (),
        pipes: bool = False,
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        if _ON_LINUX:
            pins = ",".join(map(str, cpus)) or "-"
            words = [sys.executable, str(_LEASH), str(os.getpid()), pins, *words]
        with log.open("w") as written:
            self.process = subprocess.Popen(
                words,
                env={**os.environ, **_variables()},
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else written,
                stderr=written,
                start_new_session=True,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        cls: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def freeze(self) -> None:
        """Stop it from using any processor until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Processor time of it and of all that lives below it; NaN where there is no /proc."""
        return sum(_cpu_seconds(pid) for pid in (self.process.pid, *_below(self.process.pid)))

    def require_alive(self) -> None:
        """Raises ChildDied."""
        code = self.process.poll()
        if code is not None:
            raise ChildDied(f"it ended with {code}; the end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def hear(self) -> str:
        """Its next line, of one with ``pipes``. Raises ChildDied where none comes."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.require_alive()
        return line

    def say(self, line: str) -> None:
        """Raises ChildDied where nobody is there to read it."""
        assert self.process.stdin is not None
        self.require_alive()
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """Ask, wait, then kill whatever is left of all; safe to repeat."""
        family = self._groups()
        _signal_group(self.process.pid, signal.SIGTERM)
        self.thaw()
        ends = time.monotonic() + GRACE
        while self.process.poll() is None and time.monotonic() < ends:
            time.sleep(0.02)
        for group in family:
            _signal_group(group, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> None:
        for group in self._groups():
            _signal_group(group, number)

    def _groups(self) -> list[int]:
        """Process groups of all that descend from it: a server may give its engine one of its own.
        Where there is no /proc, the first of them alone.
        """
        groups = [self.process.pid]
        for pid in _below(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                groups.append(os.getpgid(pid))
        return list(dict.fromkeys(groups))


def _below(pid: int) -> list[int]:
    """The living descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int(_stat(int(folder.name))[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += below
        found += below
    return found


def _cpu_seconds(pid: int) -> float:
    """In user and in kernel mode, of all its threads."""
    try:
        user, kernel = _stat(pid)[11:13]
    except OSError:
        return math.nan
    return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """From the third field on; the second, the command's name in brackets, may have spaces."""
    text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    return text.rpartition(")")[2].split()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of the group have ended
        os.killpg(group, number)


def _variables() -> dict[str, str]:
    """The same threads for everybody; nothing is asked of a hub."""
    threads = str(core_count())
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
