"""The command line, in a directory and an environment of the test's own."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enginebay_server.cli import main


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]
InstallPlugin = Callable[..., None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where commands run."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """On the path of commands, as site-packages are."""
    made = tmp_path / "site"
    made.mkdir()
    return made


@pytest.fixture
def enginebay(
    directory: Path,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """``enginebay("plugins", "list", ENGINEBAY_X="1")`` runs it to its end, in this process, with
    nobody watching."""
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    for name in [name for name in os.environ if name.startswith("ENGINEBAY_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, **variables: str) -> Done:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture
def process(directory: Path, site: Path) -> Run:
    """The same as a process of its own."""

    def run(*arguments: str, **variables: str) -> Done:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ENGINEBAY")}
        child = subprocess.run(
            [sys.executable, "-m", "enginebay_server", *arguments],
            cwd=directory,
            env={**kept, "PYTHONPATH": str(site), "COLUMNS": "80", **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(child.returncode, child.stdout, child.stderr)

    return run


@pytest.fixture
def install_plugin(site: Path) -> InstallPlugin:
    """A module and its .dist-info, as pip would leave them."""

    def install(distribution: str, code: str, group: str, **entry_points: str) -> None:
        (site / f"{distribution}.py").write_text(textwrap.dedent(code))
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        lines = [f"{name} = {target}" for name, target in entry_points.items()]
        (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(lines) + "\n")

    return install
