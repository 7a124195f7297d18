"""Run a command that dies with its parent: ``leash.py PARENT CPUS COMMAND…``.

PARENT is its process id, for it may have died already; CPUS is as ``0,1``, or ``-`` for all.

A process of its own because both must happen between fork and exec, and Python's own hook for that
is not safe beside threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, cpus, *command = sys.argv[1:]
    if cpus != "-":
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent has died")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
