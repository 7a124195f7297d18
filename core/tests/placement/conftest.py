"""Core alone has no zmq and msgspec: they come with the extra ``process``."""

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enginebay_core.plugins import BACKENDS

if importlib.util.find_spec("zmq") is None or importlib.util.find_spec("msgspec") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this process and its children put temporary files; short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="eb-") as directory:
        monkeypatch.setenv("TMPDIR", directory)
        monkeypatch.setattr("tempfile.tempdir", None)
        yield Path(directory)


@pytest.fixture
def faulty(install_plugin: Callable[..., Path], temporary: Path) -> Path:
    """Installs the backend ``faulty``; returns the directory of temporary files."""
    from .faulty import CODE

    install_plugin("eb_faulty", CODE, BACKENDS, faulty="eb_faulty:Backend")
    return temporary
