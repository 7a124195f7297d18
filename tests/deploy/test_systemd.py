"""deploy/enginebay.service, as far as it can be tried without being root of a running systemd."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from tests.docs.test_docs import resolve
from tests.packaging.conftest import ROOT

from enginebay_server.config import ServerSettings, load_settings
from enginebay_server.run import GRACE_SECONDS

UNIT = ROOT / "deploy" / "enginebay.service"
ANALYZE = shutil.which("systemd-analyze")


def service() -> dict[str, str]:
    """The last value of each key."""
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # configparser's own way
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")
def test_systemd_finds_no_fault_in_it(tmp_path: Path) -> None:
    """A path that exists in place of the one that will."""
    text = UNIT.read_text()
    command = "/opt/enginebay/bin/enginebay"
    assert text.count(command) == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(command, "/bin/sh"))
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_its_command_is_one() -> None:
    _, *words = shlex.split(service()["ExecStart"])
    command, rest = resolve(words)
    assert command.name == "serve"
    assert {word for word in rest if word.startswith("-")} <= {"--config"}


def test_a_stop_has_the_time_that_it_may_take() -> None:
    longest = ServerSettings().shutdown_seconds + GRACE_SECONDS
    assert float(service()["TimeoutStopSec"]) > longest


def test_a_config_that_cannot_be_served_ends_as_it_says() -> None:
    command = [sys.executable, "-m", "enginebay_server", "serve", "--set", "server.port=-1"]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert str(ended.returncode) == service()["RestartPreventExitStatus"]


def test_the_config_beside_it_is_one(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-one\n")
    settings = load_settings(
        ROOT / "deploy" / "enginebay.toml", {"server": {"api_keys_file": str(keys)}}
    )
    assert list(settings.models) == ["pocket"]
