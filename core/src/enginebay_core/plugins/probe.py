"""Whether a plugin imports, found out in a child process: it may exit, hang or crash there."""

from __future__ import annotations

import subprocess
import sys

from enginebay_core.plugins.registry import PluginInfo, load_backend, load_plugin

PROBE_SECONDS = 60.0

_CHILD = "import sys; from enginebay_core.plugins.probe import load; load(*sys.argv[1:])"


def probe_plugin(info: PluginInfo, seconds: float = PROBE_SECONDS) -> str | None:
    """None when the plugin loads, else the reason in one line."""
    command = [sys.executable, "-c", _CHILD, info.group, info.name]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"importing it took more than {seconds:g} seconds"
    if child.returncode == 0:
        return None
    if child.returncode < 0:
        return f"importing it crashed the process (signal {-child.returncode})"
    lines = child.stderr.strip().splitlines()
    return lines[-1] if lines else f"importing it ended the process ({child.returncode})"


def load(group: str, name: str) -> None:
    """In the child: load, and say in one line why not."""
    try:
        load_backend(name) if ".backends." in group else load_plugin(group, name)
    except Exception as error:
        sys.exit(" ".join(str(error).split()))
