"""Where environments lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

WITHIN: Final = Path("enginebay", "environments")


def environments_root() -> Path:
    """Inside the virtual environment that EngineBay runs in, so that each installation has its own
    and they go with it; ``$XDG_DATA_HOME/enginebay`` where it runs in none.
    """
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix, "share") / WITHIN
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / WITHIN


def place_of(name: str) -> Path:
    return environments_root() / name


def interpreter_in(place: Path) -> Path:
    """Not resolved: the link itself is what makes Python look into the environment."""
    return place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
