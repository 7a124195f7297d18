"""Plugins as a stranger's pip would leave them: a module and its .dist-info, on the path."""

import importlib
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

InstallPlugin = Callable[..., Path]


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstallPlugin:
    """``install_plugin(distribution, code, group, **entry_points)`` and it is installed, for this
    process and its children."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))

    def install(distribution: str, code: str, group: str, **entry_points: str) -> Path:
        (site / f"{distribution}.py").write_text(textwrap.dedent(code))
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        lines = [f"{name} = {target}" for name, target in entry_points.items()]
        (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(lines) + "\n")
        sys.modules.pop(distribution, None)
        importlib.invalidate_caches()
        return site

    return install
