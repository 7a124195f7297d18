"""Every installed plugin, and whether it loads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from enginebay_core.plugins import GROUPS, PluginInfo, list_plugins, probe_plugin
from enginebay_core.plugins.registry import kind

State = Literal["ok", "broken", "conflict"]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """``reason`` says in one line why the state is not ``ok``."""

    info: PluginInfo
    state: State = "ok"
    reason: str | None = None

    @property
    def kind(self) -> str:
        return kind(self.info.group)

    def as_json(self) -> dict[str, Any]:
        info = self.info
        return {
            "kind": self.kind,
            "group": info.group,
            "name": info.name,
            "distribution": info.distribution,
            "version": info.version,
            "target": info.target,
            "state": self.state,
            "reason": self.reason,
        }


def installed_plugins() -> list[PluginInfo]:
    """Of all groups; nothing is imported."""
    return [info for group in GROUPS for info in list_plugins(group)]


def survey(plugins: Sequence[PluginInfo]) -> list[Surveyed]:
    """Each plugin is loaded in a child process of its own, as many at once as there are cores."""
    claims = Counter((info.group, info.name) for info in plugins)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(lambda info: _look_at(info, plugins, claims), plugins))


def _look_at(
    info: PluginInfo, plugins: Sequence[PluginInfo], claims: Mapping[tuple[str, str], int]
) -> Surveyed:
    if claims[info.group, info.name] > 1:
        rivals = [
            f"{other.distribution!r}"
            for other in plugins
            if (other.group, other.name) == (info.group, info.name) and other != info
        ]
        return Surveyed(
            info, "conflict", f"also offered by {' and '.join(rivals)}; uninstall one of them"
        )
    reason = probe_plugin(info)
    return Surveyed(info) if reason is None else Surveyed(info, "broken", reason)
