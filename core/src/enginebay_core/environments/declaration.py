"""What a plugin says of the environment that its engine needs, read without importing any of it.

An entry point in ``enginebay.environments.v1`` names the environment, and a folder of the plugin as
if it were a module (``enginebay_mine.environment``). In it lie ``environment.toml`` and
``constraints.txt``, which pins every version.
"""

from __future__ import annotations

import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from enginebay_core.api import PluginBroken
from enginebay_core.plugins import ENVIRONMENTS, PluginInfo, find_plugin, list_plugins

SAID: Final = "environment.toml"
PINS: Final = "constraints.txt"
CORE: Final = "enginebay-core"
OURS: Final = "enginebay-"
"""Distributions so named are never looked for on an index, where a stranger could offer them."""

_NAME: Final = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?(.*)$")


class Said(BaseModel):
    """``environment.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backends: tuple[str, ...] = Field(description="Those that run in it, by name.")
    requirements: tuple[str, ...] = Field(
        description="What it holds. EngineBay's own distributions, and the one that declares it, "
        "are taken from the installation that makes it."
    )
    imports: tuple[str, ...] = Field(description="Modules that must import before it is used.")
    size: str = Field(description="What making it downloads, for people.")
    reason: str = Field(description="Why the engine cannot live beside the others, for people.")


@dataclass(frozen=True, slots=True)
class Environment:
    """``folder`` holds the two files."""

    info: PluginInfo
    folder: Path
    said: Said

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def constraints(self) -> Path:
        return self.folder / PINS

    @property
    def own(self) -> dict[str, str]:
        """Extras (``"[process]"``, or nothing) by the name of each distribution that comes from
        this installation: core, the plugin, and what else of EngineBay is required.
        """
        listed = {name: extras for name, extras, _ in self._parts() if self._is_own(name)}
        return {CORE: "", self.info.distribution: "", **listed}

    @property
    def foreign(self) -> list[str]:
        """The requirements that an index fulfils, as they are written."""
        return [
            f"{name}{extras}{rest}"
            for name, extras, rest in self._parts()
            if not self._is_own(name)
        ]

    def _is_own(self, name: str) -> bool:
        return name.startswith(OURS) or name == self.info.distribution

    def _parts(self) -> list[tuple[str, str, str]]:
        found = [_NAME.match(line) for line in self.said.requirements]
        return [(one[1], one[2] or "", one[3]) for one in found if one]


def list_environments() -> list[str]:
    """The names of all that installed plugins declare, sound or not."""
    return [plugin.name for plugin in list_plugins(ENVIRONMENTS)]


def find_environment(name: str) -> Environment:
    """Raises PluginNotFound, PluginConflict, or PluginBroken when its files make no sense."""
    info = find_plugin(ENVIRONMENTS, name)
    folder = _folder(info)
    try:
        said = Said.model_validate(tomllib.loads((folder / SAID).read_text(encoding="utf-8")))
        pinned = (folder / PINS).is_file()
    except OSError as error:
        raise _broken(info, f"{SAID} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise _broken(info, f"{SAID}: {where}: {fault['msg']}") from error
    except ValueError as error:
        raise _broken(info, f"{SAID}: {error}") from error
    if not pinned:
        raise _broken(info, f"it has no {PINS}")
    for line in said.requirements:
        _require_sound(info, line)
    return Environment(info, folder, said)


def _folder(info: PluginInfo) -> Path:
    """``find_spec`` of a name without dots finds a package and runs none of it."""
    package, *below = info.target.partition(":")[0].split(".")
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise _broken(info, f"{package!r} is no package")
    return Path(next(iter(places)), *below)


def _require_sound(info: PluginInfo, line: str) -> None:
    found = _NAME.match(line)
    if found is None:
        raise _broken(info, f"{SAID}: {line!r} is no requirement; begin it with a name")
    if found[1].startswith(OURS) and found[3].strip():
        raise _broken(
            info, f"{SAID}: {line!r}: EngineBay's own come as they are here; leave the rest out"
        )


def _broken(info: PluginInfo, reason: str) -> PluginBroken:
    return PluginBroken(
        f"environment {info.name!r} of {info.distribution!r} {info.version} is not usable: {reason}"
    )
