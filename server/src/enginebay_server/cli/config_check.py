"""Everything that can be known about a config before a model loads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from enginebay_core.api import (
    ConfigError,
    EngineBayError,
    ModelError,
    PluginBroken,
    PluginError,
)
from enginebay_core.config import ModelConfig, parse_options
from enginebay_core.environments import environment_of, interpreter_of
from enginebay_core.placement import placement_of, require_process
from enginebay_core.plugins import MODELS, list_plugins, load_backend, resolve_model
from enginebay_core.plugins.models import HUB_ID
from enginebay_server.auth import KeyRing
from enginebay_server.cli.layers import Layers, read_layers
from enginebay_server.config import Settings, unread_variables


@dataclass(frozen=True)
class CheckedConfig:
    """With ``errors`` the server would not start."""

    file: Path | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.errors,
            "file": None if self.file is None else str(self.file),
            "errors": list(self.errors),
            "warnings": list(self.warnings),
        }


def check_config(file: Path | None, command_line: Mapping[str, Any]) -> CheckedConfig:
    """Finds as many faults as it can in one go; raises nothing that it foresaw."""
    warnings = unread_variables(os.environ)
    try:
        layers = read_layers(file, command_line)
        settings = layers.settings()
    except ConfigError as error:
        return CheckedConfig(file, (str(error),), tuple(warnings))
    errors = list(_failures(partial(KeyRing, settings.server)))
    for name in settings.models:
        try:
            errors += _failures(partial(_check_options, settings, name))
            errors += _failures(partial(_check_placement, settings, name))
            warnings += _failures(partial(check_environment, name, settings.models[name]))
        except PluginBroken as error:
            warnings.append(f"models.{name} cannot load: {error}")
        warnings += _failures(partial(_check_model, name, settings.models[name].model))
    warnings += _risks(settings, layers)
    return CheckedConfig(layers.file, tuple(errors), tuple(warnings))


def _check_options(settings: Settings, name: str) -> None:
    """Those of a backend in another environment only that environment knows."""
    config = settings.models[name]
    if config.python is not None:
        return
    parse_options(load_backend(config.backend), config.options, f"models.{name}.options")


def _check_placement(settings: Settings, name: str) -> None:
    """A backend that is not installed is told of by its options."""
    with suppress(PluginError):
        if placement_of(settings.models[name]) == "process":
            require_process(name)


def check_environment(name: str, config: ModelConfig) -> None:
    """The one it names, or the one its backend must have. It may be made before the server starts,
    so it is no error yet.
    """
    if config.python is not None or config.placement == "inline":
        return
    environment = config.environment or environment_of(config.backend)
    if environment is not None:
        interpreter_of(environment, f"models.{name}")


def inline_risks(settings: Settings) -> Iterator[str]:
    """What each model gives up that is to run inside the server; a toy has nothing to lose."""
    for name, config in settings.models.items():
        if config.placement == "inline":
            yield (
                f"models.{name} runs inside the server's process: when its backend crashes or "
                "hangs, the server and every other model go with it"
            )


def _check_model(name: str, model: str) -> None:
    """Of a Hugging Face id, only loading can tell whether it is there."""
    installed = [plugin.name for plugin in list_plugins(MODELS)]
    if model not in installed and HUB_ID.fullmatch(model) and model[0] not in ".~":
        return
    try:
        resolve_model(model, lambda *_: None)
    except EngineBayError as error:
        raise ModelError(f"models.{name} cannot load: {error}") from None


def _failures(work: Callable[[], object]) -> Iterator[str]:
    try:
        work()
    except PluginBroken:
        raise
    except EngineBayError as error:
        yield str(error)


def _risks(settings: Settings, layers: Layers) -> Iterator[str]:
    """What works, and should be known."""
    server = settings.server
    if server.auth == "none" and not server.on_loopback:
        yield f"everyone who reaches {server.host} port {server.port} may use it: auth is 'none'"
    if server.api_key is not None and layers.source_of(("server", "api_key")) == "file":
        yield (
            "server.api_key stands in the file; ENGINEBAY_SERVER__API_KEY keeps it out of backups "
            "and repositories"
        )
    yield from inline_risks(settings)
