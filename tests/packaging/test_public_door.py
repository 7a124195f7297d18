"""Backends and plugins import what is public, by the doors that docs/stability.md names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT

DOORS = ("enginebay_core.api", "enginebay_core.export", "enginebay_core.testing")
SOURCES = sorted([*ROOT.glob("backends/*/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_door_is_used(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert not name.startswith("enginebay_core") or name in DOORS, ast.unparse(node)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 10
