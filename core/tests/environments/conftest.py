"""A plugin that declares an environment, and a place of the test's own for what is made."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from .material import TOML, Declare


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are made, and nothing from an index: the requirements of what is installed
    are not.
    """
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_DEPS", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "prefix" / "share" / "enginebay" / "environments"


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """``declare(toml, code)``: the package eb_lone is installed, whose environment is ``lone``."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(toml: str | None = TOML, code: str = "", pins: str | None = "") -> Path:
        package, info = site / "eb_lone", site / "eb_lone-1.0.dist-info"
        for folder in (package / "environment", info):
            folder.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(textwrap.dedent(code))
        for name, text in (("environment.toml", toml), ("constraints.txt", pins)):
            if text is not None:
                (package / "environment" / name).write_text(text)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eb_lone\nVersion: 1.0\n")
        points = "[enginebay.environments.v1]\nlone = eb_lone.environment\n"
        (info / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()
        return package

    yield install
    sys.modules.pop("eb_lone", None)
