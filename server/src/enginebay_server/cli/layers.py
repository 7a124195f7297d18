"""A config before it becomes one: what each source says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enginebay_core.config import parse
from enginebay_server.config import DEFAULT_FILE, Settings
from enginebay_server.config.sources import merge, read_environment, read_file

SOURCES: Final = ("file", "environment", "command line")
"""The weakest first."""


@dataclass(frozen=True)
class Layers:
    """``said`` has the nested tables of each of ``SOURCES``."""

    file: Path | None
    said: Mapping[str, Mapping[str, Any]]

    def settings(self) -> Settings:
        """Backends are not asked about their options. Raises ConfigError."""
        merged: Mapping[str, Any] = {}
        for source in SOURCES:
            merged = merge(merged, self.said[source])
        return parse(Settings, merged, "")

    def source_of(self, path: Sequence[str]) -> str:
        """The strongest source that says something at or below ``path``."""
        for source in reversed(SOURCES):
            if _has(self.said[source], path):
                return source
        return "default"


def read_layers(file: Path | None, command_line: Mapping[str, Any]) -> Layers:
    """Raises ConfigError when a source cannot be read."""
    tables = (read_file(file), read_environment(), command_line)
    read = DEFAULT_FILE if file is None and DEFAULT_FILE.is_file() else file
    return Layers(read, dict(zip(SOURCES, tables, strict=True)))


def _has(tables: Mapping[str, Any], path: Sequence[str]) -> bool:
    below: Any = tables
    for part in path:
        if not isinstance(below, Mapping) or part not in below:
            return False
        below = below[part]
    return True
