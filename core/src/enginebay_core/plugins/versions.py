"""Which versions take part when a plugin runs."""

from __future__ import annotations

import importlib.metadata
import re
from contextlib import suppress
from typing import Final

from enginebay_core.plugins.registry import BACKENDS, find_plugin

_NAME: Final = re.compile(r"[\w.-]+")
_FOR_DEVELOPERS: Final = re.compile(r"extra *== *['\"](test|testing|dev|docs)['\"]")


def backend_versions(name: str) -> dict[str, str]:
    """Of the distribution that offers the backend, in this environment, and of what it requires."""
    return distribution_versions(find_plugin(BACKENDS, name).distribution)


def distribution_versions(name: str) -> dict[str, str]:
    """Of a distribution and of what it requires itself, extras included, as far as it is here."""
    asked = importlib.metadata.requires(name) or []
    matches = (_NAME.match(line) for line in asked if not _FOR_DEVELOPERS.search(line))
    found = {}
    for one in (name, *(match[0] for match in matches if match)):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[one.lower()] = importlib.metadata.version(one)
    return found
