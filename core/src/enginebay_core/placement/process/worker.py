"""One child process, from its start to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from enginebay_core.api import JsonValue, ModelError, Progress
from enginebay_core.config import Deadlines
from enginebay_core.grammar import GrammarLimits
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.ending import ending
from enginebay_core.placement.process.environment import child_environment
from enginebay_core.placement.process.link import ServerLink
from enginebay_core.placement.process.output import Output

ReportT = TypeVar("ReportT", bound=wire.Message)

CHILD: Final = "enginebay_core.placement.process.child"
TICK_SECONDS: Final = 0.5
DUMP_SECONDS: Final = 0.3
HAS_UNIX_SOCKETS: Final = sys.platform != "win32"


@dataclass(frozen=True)
class Launch:
    """All that is needed to start the process of one model, and to start it again. ``name`` is
    the model's; ``queue`` is None where the config says nothing of it.
    """

    name: str
    backend: str
    options: dict[str, JsonValue]
    queue: tuple[int, float] | None = None
    python: str | None = None
    pass_env: tuple[str, ...] = ()
    deadlines: Deadlines = field(default_factory=Deadlines)
    restarts: int = 0
    grammars: GrammarLimits = field(default_factory=GrammarLimits)
    unix: bool = HAS_UNIX_SOCKETS

    @property
    def executable(self) -> str:
        return self.python or sys.executable


class Worker:
    """Runs as soon as it is made. Whoever made it ends it."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._ended = False
        self.link = ServerLink(unix=launch.unix)
        try:
            self._process, self._output = _spawn(launch)
            self._pidfd = _open_pidfd(self.pid)
            self._tell(self.link)
        except BaseException:
            self.link.close()
            raise
        if self._pidfd is not None:
            self.link.watch(self._pidfd)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last line that it printed; after a crash it is of no help, the log has the rest."""
        self._output.join(1.0)
        if self._process.returncode is not None and self._process.returncode < 0:
            return ""
        return self._output.last_words[-1] if self._output.last_words else ""

    def expect(self, kind: type[ReportT], progress: Progress) -> ReportT:
        """Wait for a report while ``progress`` is told what goes on; it may raise to give up.
        Raises what the child reports as failed, and ModelError when it dies, or says nothing new
        for ``deadlines.load`` seconds.
        """
        said = wire.Progress(f"starting backend {self._launch.backend!r}", 0, 0)
        heard = time.monotonic()
        progress(said.stage)
        while True:
            for report in self.link.receive(TICK_SECONDS):
                if isinstance(report, kind):
                    return report
                if isinstance(report, wire.Failed):
                    raise wire.error_of(report.fault)
                if isinstance(report, wire.Progress):
                    said, heard = report, time.monotonic()
                    progress(said.stage, said.done, said.total)
            progress(said.stage, said.done, said.total)
            self._require_alive(said, heard)

    def died(self) -> str | None:
        """How it ended, or None while it lives."""
        if not _has_exited(self.pid, self._process):
            return None
        return ending(self._kill())

    def dump(self) -> None:
        """Have a hung child print where each of its threads is; takes a moment."""
        if hasattr(signal, "SIGUSR1"):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGUSR1)
            time.sleep(DUMP_SECONDS)

    def end(self, grace: float = 0.0) -> None:
        """The process may take ``grace`` seconds to close its engine, then it and all that it has
        started are killed. Nothing of it is left. Safe to repeat.
        """
        if self._ended:
            return
        self._ended = True
        if grace:
            self.link.send(wire.Close())
            _wait(self._process, grace)
        self._kill()
        if self._pidfd is not None:
            os.close(self._pidfd)
        self.link.close()
        self._output.join(1.0)

    def _tell(self, link: ServerLink) -> None:
        """The address goes by standard input, which stays open: its end is the server's end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which is found out soon
            self._process.stdin.write(msgspec.json.encode(link.address) + b"\n")
            self._process.stdin.flush()

    def _require_alive(self, said: wire.Progress, heard: float) -> None:
        launch = self._launch
        died = self.died()
        if died is not None:
            words = self.last_words
            raise ModelError(
                f"the process of backend {launch.backend!r} {died} while {said.stage}"
                + (f"; its last words: {words}" if words else "")
            )
        if time.monotonic() - heard > launch.deadlines.load:
            self.dump()
            raise ModelError(
                f"backend {launch.backend!r} made no progress for {launch.deadlines.load:g} s "
                f"while {said.stage}; if it needs longer, set models.{launch.name}.deadlines.load"
            )

    def _kill(self) -> int:
        """The whole group, then wait for the child alone: others are not ours to wait for."""
        if self._process.returncode is not None:
            return self._process.returncode
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        return self._process.wait()


def _spawn(launch: Launch) -> tuple[subprocess.Popen[bytes], Output]:
    """In a session of its own, so that a terminal's Ctrl-C is the server's alone."""
    environment = child_environment(
        os.environ, launch.pass_env, own_python=launch.executable == sys.executable
    )
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - the config's own interpreter
            [launch.executable, "-P", "-X", "faulthandler", "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=writing,
            stderr=writing,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise ModelError(
            f"models.{launch.name}.python: {launch.executable!r} does not run: {error.strerror}"
        ) from None
    finally:
        os.close(writing)
    return process, Output(launch.name, reading)


def _open_pidfd(pid: int) -> int | None:
    """Readable once the process has exited; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _has_exited(pid: int, process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it, where that can be: until then no other process group has its number."""
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not _has_exited(process.pid, process) and time.monotonic() < ends:
        time.sleep(0.01)
