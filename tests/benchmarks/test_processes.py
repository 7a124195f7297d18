"""Servers that ignore signals, hide children or outlive the harness are ended all the same."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.benchmarks import processes
from tests.benchmarks.processes import Child, ChildDied

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hidden = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                          start_new_session=True)
print(hidden.pid, flush=True)
time.sleep(60)
"""
BUSY_BELOW = r"""
import subprocess, sys
spin = "import time\nprint(flush=True)\nwhile time.process_time() < 0.5: pass\nprint(flush=True)"
subprocess.run([sys.executable, "-c", spin + "\ninput()"])
"""
HARNESS = """
import sys
from pathlib import Path
from tests.benchmarks.processes import Child
with Child([sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1])) as child:
    print(child.process.pid, flush=True)
    sys.stdin.read()
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and prctl")


def state(pid: int) -> str:
    """As in /proc: T is stopped, Z and empty are ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@linux
def test_it_ends_with_its_children_whatever_they_ignore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    with Child([sys.executable, "-c", STUBBORN], tmp_path / "log", pipes=True) as child:
        hidden = int(child.hear())
        assert state(hidden) not in ("", "Z")
    assert child.process.returncode is not None
    wait_for(lambda: state(hidden) in ("", "Z"))


@linux
def test_it_and_its_children_hold_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    with Child([sys.executable, "-c", STUBBORN], tmp_path / "log", pipes=True) as child:
        family = (child.process.pid, int(child.hear()))
        child.freeze()
        wait_for(lambda: all(state(pid) == "T" for pid in family))
        child.thaw()
        wait_for(lambda: all(state(pid) not in ("T", "") for pid in family))
        child.freeze()
    wait_for(lambda: all(state(pid) in ("", "Z") for pid in family))


@linux
def test_it_ends_when_the_harness_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path / "log")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        assert state(pid) not in ("", "Z")
        harness.kill()
        wait_for(lambda: state(pid) in ("", "Z"))


def test_a_death_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such weights')"]
    with Child(command, tmp_path / "log", pipes=True) as child:
        with pytest.raises(ChildDied, match="no such weights"):
            child.hear()
        with pytest.raises(ChildDied, match="it ended with 1"):
            child.require_alive()


@linux
def test_its_processor_time_is_that_of_all_below_it(tmp_path: Path) -> None:
    with Child([sys.executable, "-c", BUSY_BELOW], tmp_path / "log", pipes=True) as child:
        child.hear()
        spent = child.cpu_seconds()
        child.hear()
        assert child.cpu_seconds() - spent >= 0.3


@linux
def test_a_pinned_one_has_one_core(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    program = "import os; print(*os.sched_getaffinity(0), flush=True)"
    with Child([sys.executable, "-c", program], tmp_path / "log", cpus=[core], pipes=True) as child:
        assert child.hear() == f"{core}\n"
