"""One model named on the command line, as the tables of a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enginebay_core.config import ModelConfig, parse
from enginebay_server.config import Settings


def model_tables(
    model: str | None, backend: str | None, options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What ``[models]`` would hold. No model means the bundled one, on its own engine unless
    another backend is named; a model without a backend gets the config's default one.
    """
    [(bundled_name, bundled)] = Settings().models.items()
    name = bundled_name if model is None else public_name(model)
    table: dict[str, Any] = {"model": model or bundled.model, "options": dict(options)}
    if backend or model is None:
        table["backend"] = backend or bundled.backend
    return {name: table}


def public_name(model: str) -> str:
    """What clients call it: a directory goes by its own name, never by its path."""
    directory = Path(model).expanduser()
    return directory.resolve().name if directory.is_dir() else model


def parse_model(tables: Mapping[str, Mapping[str, Any]]) -> tuple[str, ModelConfig]:
    """The one model in ``tables`` and its name. Raises ConfigError."""
    [(name, table)] = tables.items()
    return name, parse(ModelConfig, table, f"models.{name}")
