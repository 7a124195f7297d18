"""A busy machine is noticed, and nothing is measured on it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.benchmarks import machine

SPIN = "while True: pass"


@pytest.fixture(scope="module")
def spinning() -> Iterator[None]:
    """As many as there are cores."""
    children = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(machine.core_count())]
    yield
    for child in children:
        child.kill()
        child.wait()


@pytest.mark.usefixtures("spinning")
def test_others_work_is_seen_and_told() -> None:
    assert machine.used_share(0.5) > machine.MOST_BUSY
    with pytest.raises(machine.Busy, match=r"others use \d+ % of its \d+ cores"):
        machine.require_quiet()


@pytest.mark.usefixtures("spinning")
def test_a_loop_on_a_busy_core_gets_less_than_all_of_it() -> None:
    assert "of its core" in machine.too_little(machine.core_share(0.2))


@pytest.mark.usefixtures("spinning")
def test_the_harness_measures_nothing_then() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--scenarios", "short/1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "not measuring, this machine is busy: others use" in done.stderr
    assert "--busy" in done.stderr
    assert done.stdout == ""


def test_a_whole_core_is_enough() -> None:
    assert machine.too_little(1.0) == ""
    assert machine.too_little(machine.LEAST_SHARE) == ""
