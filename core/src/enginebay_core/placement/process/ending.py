"""How a child process ended, in words for an operator and for a client."""

from __future__ import annotations

import signal
from typing import Final

CAUSES: Final = {
    "SIGSEGV": "native code read or wrote memory that is not its own",
    "SIGABRT": "native code gave up",
    "SIGBUS": "memory or a mapped file was gone",
    "SIGILL": "this processor lacks an instruction",
    "SIGKILL": "killed from outside; the kernel does so when memory runs out",
}


def ending(code: int) -> str:
    """``code`` as ``subprocess`` gives it: negative for a signal."""
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = _signal_name(-code)
    cause = f" ({CAUSES[name]})" if name in CAUSES else ""
    return f"died of {name}{cause}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
