"""stevedore's DriverManager, without three surprises of its release 5.10."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from stevedore.driver import DriverManager
from stevedore.extension import Extension


class PluginManager(DriverManager[Any]):
    """Loads one plugin of one group.

    - Its entry points come from ``importlib.metadata`` each time: stevedore's disk cache rounds
      modification times to 128 seconds and misses a plugin that was reinstalled.
    - A missing name raises by itself: DriverManager drops ``on_missing_entrypoints_callback``.
    - ``plugin`` is the loaded object: ``.driver`` gives the class where an object is falsy.
    """

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return list(importlib.metadata.entry_points(group=self.namespace))

    @property
    def plugin(self) -> Any:
        """What the entry point names, not called."""
        extensions: list[Extension[Any]] = self.extensions
        return extensions[0].plugin
