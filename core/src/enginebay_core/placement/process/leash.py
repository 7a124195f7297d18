"""The child's side of its tie to the server: when the server is gone, so is the child."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from typing import Final

SET_SIGNAL: Final = 10
"""``F_SETSIG`` of ``fcntl(2)`` on Linux, which Python does not name."""


class Leash:
    """``descriptor`` reads a pipe whose other end the server holds, and nobody else: it ends when
    the server does, however it does. ``directory`` is removed then as well.
    """

    def __init__(self, descriptor: int, directory: str | None) -> None:
        self._descriptor = descriptor
        self._directory = directory
        threading.Thread(target=self._watch, name="leash", daemon=True).start()

    def tighten(self) -> None:
        """On Linux, let the kernel kill this process and all that it has started the moment that
        the pipe ends, even while native code keeps every Python thread from running. Nothing may
        be written to the pipe any more.
        """
        if sys.platform != "linux":
            return
        import fcntl  # noqa: PLC0415 - not every system has it

        fcntl.fcntl(self._descriptor, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(self._descriptor, SET_SIGNAL, signal.SIGKILL)
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)

    def _watch(self) -> None:
        while os.read(self._descriptor, 1024):
            pass
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
