"""Opens a model where its config says that it runs."""

from __future__ import annotations

import importlib.util
from typing import Final, Literal

from enginebay_core.api import ConfigError, Progress
from enginebay_core.config import ModelConfig
from enginebay_core.placement.inline import open_inline
from enginebay_core.placement.running import RunningModel
from enginebay_core.plugins import BACKENDS, find_plugin

Placement = Literal["process", "inline"]

CORE: Final = "enginebay-core"
NEEDED: Final = ("zmq", "msgspec")


def open_model(name: str, config: ModelConfig, progress: Progress) -> RunningModel:
    """Find, load and compose; blocks, so never on an event loop.

    ``name`` is the model's name in the config. Raises ConfigError, PluginError or ModelError, and
    whatever ``progress`` raises to give up.
    """
    if placement_of(config) == "inline":
        return open_inline(name, config, progress)
    require_process(name)
    from enginebay_core.placement.process.opening import open_process  # noqa: PLC0415 - an extra

    return open_process(name, config, progress)


def placement_of(config: ModelConfig) -> Placement:
    """What the config says; else a process, but for the backend that core itself ships for tests.
    Raises PluginError where there is no such backend.
    """
    if config.placement is not None:
        return config.placement
    if config.python is not None or config.environment is not None:
        return "process"
    own = find_plugin(BACKENDS, config.backend).distribution == CORE
    return "inline" if own else "process"


def require_process(name: str) -> None:
    """Raises ConfigError where what ``process`` needs is not installed."""
    if not process_is_installed():
        raise ConfigError(
            f"models.{name}.placement is 'process', which needs pyzmq and msgspec: "
            "pip install 'enginebay-core[process]', or set it to 'inline'"
        )


def process_is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)
