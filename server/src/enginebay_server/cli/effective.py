"""Settings as they apply, each with its source, for people to see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from enginebay_core.api import PluginError
from enginebay_core.placement import placement_of
from enginebay_server.cli.layers import Layers
from enginebay_server.config import Settings

MASK: Final = "**********"
_SECRET: Final = re.compile(r"(^|_)(key|token|secret|password)$", re.IGNORECASE)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """``key`` is written as in the file: ``models."qwen2.5".backend``."""

    key: str
    value: Any
    source: str

    @property
    def written(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


def masked_settings(settings: Settings) -> dict[str, Any]:
    """All settings as JSON, no secret readable: neither our own keys nor a backend's. Where each
    model runs is said even if nobody set it.
    """
    masked: dict[str, Any] = _masked(settings.model_dump(mode="json"))
    for name, config in settings.models.items():
        with suppress(PluginError):  # no such backend: nobody knows
            masked["models"][name]["placement"] = placement_of(config)
    return masked


def effective(settings: Mapping[str, Any], layers: Layers) -> Iterator[Setting]:
    """In the order of the file; request defaults that nobody set are left out."""
    for path, value in _leaves(settings, ()):
        if not (value is None and "defaults" in path):
            yield Setting(_key(path), value, layers.source_of(path))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, value


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(below, name) for name, below in value.items()}
    if isinstance(value, str) and value and _SECRET.search(key):
        return MASK
    return value


def _key(path: tuple[str, ...]) -> str:
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in path)
