"""Whoever waits for the kit is told how far it is."""

from __future__ import annotations

import io
import signal
import subprocess
import sys

import pytest

from enginebay_core.testing import BackendContract
from enginebay_core.testing.progress import watch_checks
from enginebay_core.testing.session import run_checks


class Toy(BackendContract):
    backend = "toy"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_check_is_counted() -> None:
    told: list[tuple[int, int]] = []
    asked = {"test_joining_late", "test_sixteen_interleaved"}
    run_checks(Toy, asked, lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_terminal_has_one_line_that_is_gone_at_the_end() -> None:
    output = Terminal()
    watch = watch_checks("toy, inline", output)
    for done in range(3):
        watch(done, 2)
    assert "\n" not in output.getvalue()
    assert "toy, inline: 1 of 2 checks" in output.getvalue()
    assert output.getvalue().endswith("\r\033[K")


def test_a_file_has_few_lines() -> None:
    output = io.StringIO()
    watch = watch_checks("toy, inline", output)
    for done in range(3):
        watch(done, 2)
    assert output.getvalue() == "toy, inline: 2 checks\n"


@pytest.mark.parametrize("placement", [[], ["--placement", "inline"]])
def test_ctrl_c_ends_it_at_once(placement: list[str]) -> None:
    """In the first placement too, where the second would be next."""
    command = [sys.executable, "-m", "enginebay_core.testing", "toy", *placement]
    with subprocess.Popen(
        [*command, "--option", "step_seconds=0.02"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stderr is not None
            assert child.stderr.readline().startswith("toy, inline: ")
            child.send_signal(signal.SIGINT)
            said, told = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, said) == (130, "")
    assert "Traceback" not in told
    assert "process" not in told
