"""The libraries that only the environment has, and words for where it is missing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Final

from enginebay_core.api import ModelError

NEEDED: Final = ("optimum-onnx", "transformers", "torch", "onnxruntime")
TRANSFORMERS: Final = "4.57."


def require_libraries() -> None:
    """Raises ModelError unless this Python has them, with the Transformers that Optimum is for."""
    for name in NEEDED:
        installed_version(name)
    found = installed_version("transformers")
    if not found.startswith(TRANSFORMERS):
        raise ModelError(
            f"Optimum needs Transformers {TRANSFORMERS}x, and this Python has {found}: make the "
            "environment with `enginebay env create optimum`, and leave `python` and `placement` "
            "out of the model's config"
        )


def installed_version(name: str) -> str:
    """Raises ModelError where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"backend 'optimum' needs {name!r}, which this Python lacks. It runs in an environment "
            "of its own: make it with `enginebay env create optimum`, and leave `python` and "
            "`placement` out of the model's config"
        ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporting prints, and its parts warn of each other."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
