"""``enginebay env``, and what config check and doctor say of environments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enginebay_server.cli.check import Check
from enginebay_server.cli.environments import check_environments, differences

Run = Callable[..., Any]
TOML = """
backends = ["lone"]
requirements = ["enginebay-core", "eb_lone[runtime]"]
imports = ["eb_lone"]
size = "nothing"
reason = "it is alone"
"""
BACKEND = """
from enginebay_core.toy import ToyBackend
class Lone(ToyBackend):
    pass
"""
POINTS = """
[enginebay.backends.v1]
lone = eb_lone:Lone
[enginebay.environments.v1]
lone = eb_lone.environment
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments would be made."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path / "prefix" / "share" / "enginebay" / "environments"


@pytest.fixture
def lone(site: Path) -> Iterator[Path]:
    """A backend that must have an environment, installed; it pins a pydantic that is not here."""
    package, info = site / "eb_lone", site / "eb_lone-1.0.dist-info"
    for folder in (package / "environment", info):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text(BACKEND)
    (package / "environment" / "environment.toml").write_text(TOML)
    (package / "environment" / "constraints.txt").write_text("# tried\npydantic==0.1\nnumpy==0.2\n")
    metadata = "Metadata-Version: 2.1\nName: eb_lone\nVersion: 1.0\nProvides-Extra: runtime\n"
    needed = "Requires-Dist: pydantic<1; extra == 'runtime'\n"
    (info / "METADATA").write_text(metadata + needed)
    (info / "entry_points.txt").write_text(POINTS)
    yield package
    sys.modules.pop("eb_lone", None)


def named(done: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {one["name"]: one for one in done.json["environments"]}[name]
    return found


def test_list_tells_what_is_missing_and_what_is_left_over(
    enginebay: Run, lone: Path, home: Path
) -> None:
    (home / "gone").mkdir(parents=True)
    found = enginebay("env", "list", "--json")
    assert found.code == 0
    assert named(found, "lone") == {
        "name": "lone",
        "state": "missing",
        "reason": "it has not been made",
        "backends": ["lone"],
        "distribution": "eb_lone",
        "why": "it is alone",
        "path": str(home / "lone"),
        "python": None,
        "size": "nothing",
    }
    assert named(found, "gone")["state"] == "stray"
    (home / "lone").mkdir()
    assert named(enginebay("env", "list", "--json"), "lone")["state"] == "unfinished"
    (lone / "environment" / "environment.toml").write_text("backends = 1")
    assert named(enginebay("env", "list", "--json"), "lone")["state"] == "broken"
    shown = enginebay("env", "list").out
    assert "stray" in shown
    assert "not usable: environment.toml" in shown


def test_unknown_names_are_named(enginebay: Run, lone: Path) -> None:
    for verb in ("create", "remove"):
        done = enginebay("env", verb, "lome")
        assert done.code == 2
        assert "no environment" in done.err
        assert "'lome'" in done.err
    assert "did you mean 'lone'" in enginebay("env", "create", "lome").err


def test_remove_deletes_what_is_left_over(enginebay: Run, home: Path) -> None:
    (home / "gone" / "bin").mkdir(parents=True)
    done = enginebay("env", "remove", "gone")
    assert done.code == 0
    assert str(home / "gone") in done.out
    assert not (home / "gone").exists()


def test_the_command_stands_wherever_the_environment_is_missed(
    enginebay: Run, lone: Path, directory: Path
) -> None:
    command = "enginebay env create lone"
    (directory / "enginebay.toml").write_text('[models.x]\nbackend = "lone"\nmodel = "toy"\n')
    checked = enginebay("config", "check", "--json")
    assert checked.code == 0, "it may be made before the server starts"
    [warning] = [text for text in checked.json["warnings"] if "environment" in text]
    assert warning.startswith("models.x needs the environment 'lone', which is missing")
    assert warning.endswith(command)
    assert command in enginebay("plugins", "check", "lone").err


def test_the_doctor_explains_the_conflict(
    lone: Path, home: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site))

    def look(name: str) -> Check:
        return {check.name: check for check in check_environments()}[f"environment {name}"]

    missing = look("lone")
    assert (missing.state, missing.repair) == ("warn", "enginebay env create lone")
    assert missing.found.startswith("missing, so lone cannot run: it has not been made.")
    assert "it is alone (pydantic is 0.1 there and " in missing.found
    assert "numpy" not in missing.found, "only what the plugin itself requires"
    (home / "lone").mkdir(parents=True)
    (home / "gone").mkdir(parents=True)
    assert look("lone").found.startswith("unfinished")
    assert look("gone").repair == "enginebay env remove gone"
    (lone / "environment" / "constraints.txt").unlink()
    assert (look("lone").state, look("lone").repair) == (
        "fail",
        "repair or uninstall the plugin that declares it",
    )


def test_what_has_changed_in_an_environment_is_told() -> None:
    then = {"torch": "2", "numpy": "1", "same": "1"}
    assert differences(then, {"torch": "3", "same": "1", "more": "1"}) == (
        "numpy 1 is missing, torch is 3 and was 2"
    )
    assert differences(then, then) == ""
