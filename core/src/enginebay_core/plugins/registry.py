"""Which plugins are installed, and loading the one that the config names."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from enginebay_core.api import (
    Backend,
    PluginBroken,
    PluginConflict,
    PluginNotFound,
    Tokenizer,
)
from enginebay_core.plugins.manager import PluginManager
from enginebay_core.plugins.suggest import suggest

BACKENDS: Final = "enginebay.backends.v1"
TOKENIZERS: Final = "enginebay.tokenizers.v1"
MODELS: Final = "enginebay.models.v1"
EXPORTERS: Final = "enginebay.exporters.v1"
ENVIRONMENTS: Final = "enginebay.environments.v1"
GROUPS: Final = (BACKENDS, TOKENIZERS, MODELS, EXPORTERS, ENVIRONMENTS)


@dataclass(frozen=True, slots=True, order=True)
class PluginInfo:
    """An entry point and who offers it, as the installed metadata say; nothing was imported."""

    group: str
    name: str
    distribution: str
    version: str
    target: str


def list_plugins(group: str) -> list[PluginInfo]:
    """All that is installed in ``group``, by name, imported or not, broken or not."""
    found = {_describe(point) for point in importlib.metadata.entry_points(group=group)}
    return sorted(found)


def find_plugin(group: str, name: str) -> PluginInfo:
    """Raises PluginNotFound, or PluginConflict when two distributions offer ``name``."""
    plugins = list_plugins(group)
    matching = [plugin for plugin in plugins if plugin.name == name]
    if not matching:
        _raise_not_found(group, name, [plugin.name for plugin in plugins])
    if len(matching) > 1:
        offers = " and ".join(f"{p.distribution!r} ({p.target})" for p in matching)
        raise PluginConflict(
            f"{kind(group)} {name!r} is offered by {offers}; uninstall one of them"
        )
    return matching[0]


def load_plugin(group: str, name: str) -> Any:
    """Import what the entry point names. Raises PluginBroken with the reason, whatever the
    plugin's import raised, SystemExit included.
    """
    info = find_plugin(group, name)
    with _blaming(info, "import"):
        manager = PluginManager(
            group, name, invoke_on_load=False, on_load_failure_callback=_raise_failure
        )
        return manager.plugin


def load_backend(name: str) -> Backend[Any]:
    """A backend, made by the factory that its entry point names; no model is loaded."""
    factory = cast("Callable[[], Backend[Any]]", load_plugin(BACKENDS, name))
    with _blaming(find_plugin(BACKENDS, name), "make"):
        return factory()


def load_tokenizer(name: str, model: Path) -> Tokenizer:
    """The tokenizer of the checkpoint in ``model``. Raises ModelError when it has none."""
    factory = cast("Callable[[Path], Tokenizer]", load_plugin(TOKENIZERS, name))
    return factory(model)


def kind(group: str) -> str:
    """``enginebay.backends.v1`` to ``backend``, for messages."""
    return group.split(".")[1].removesuffix("s")


class _blaming:
    """Turns whatever a plugin raises into PluginBroken; lets the user's Ctrl-C through."""

    def __init__(self, info: PluginInfo, verb: str) -> None:
        self._info = info
        self._verb = verb

    def __enter__(self) -> None:
        return None

    def __exit__(self, cls: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        info = self._info
        raise PluginBroken(
            f"{kind(info.group)} {info.name!r} of {info.distribution!r} {info.version} failed to "
            f"{self._verb}: {type(error).__name__}: {error}"
        ) from error


def _raise_failure(manager: object, point: object, error: BaseException) -> NoReturn:
    raise error


def _raise_not_found(group: str, name: str, known: list[str]) -> NoReturn:
    hint = suggest(name, known)
    meant = f"; did you mean {hint!r}?" if hint else ""
    there = ", ".join(known) or "none"
    raise PluginNotFound(
        f"no {kind(group)} named {name!r} is installed{meant} (installed: {there}). EngineBay's "
        "own are folders of its checkout: pip install ./backends/NAME or ./plugins/NAME"
    )


def _describe(point: importlib.metadata.EntryPoint) -> PluginInfo:
    distribution = point.dist
    name = distribution.name if distribution else "unknown"
    version = distribution.version if distribution else "unknown"
    return PluginInfo(point.group, point.name, name, version, point.value)
