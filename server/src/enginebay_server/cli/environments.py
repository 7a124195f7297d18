"""Every declared environment, its state, and what the doctor finds in it."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError, PluginError
from enginebay_core.environments import (
    Environment,
    State,
    find_environment,
    list_environments,
    look_at,
    strays,
)
from enginebay_core.environments.declaration import CORE
from enginebay_core.environments.place import interpreter_in, place_of
from enginebay_core.environments.probe import prove
from enginebay_core.environments.record import Record
from enginebay_server.cli.check import Check

BROKEN: Final = "broken"
STRAY: Final = "stray"


@dataclass(frozen=True, slots=True)
class SurveyedEnvironment:
    """``why`` is the plugin's reason for it; ``environment`` is None where its files make no sense
    or its plugin is gone.
    """

    name: str
    state: str
    reason: str
    path: Path
    environment: Environment | None = None
    record: Record | None = None

    @property
    def backends(self) -> tuple[str, ...]:
        return self.environment.said.backends if self.environment else ()

    def as_json(self) -> dict[str, Any]:
        python = interpreter_in(self.path)
        said = self.environment.said if self.environment else None
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason or None,
            "backends": list(self.backends),
            "distribution": self.environment.info.distribution if self.environment else None,
            "why": said.reason if said else None,
            "path": str(self.path),
            "python": str(python) if python.exists() else None,
            "size": said.size if said else None,
        }


def survey_environments() -> list[SurveyedEnvironment]:
    """By name; runs nothing."""
    names = dict.fromkeys(list_environments())
    lost = [SurveyedEnvironment(path.name, STRAY, "its plugin is gone", path) for path in strays()]
    return [*map(_look_at, names), *lost]


def _look_at(name: str) -> SurveyedEnvironment:
    path = place_of(name)
    try:
        environment = find_environment(name)
        condition = look_at(environment)
    except PluginError as error:
        return SurveyedEnvironment(name, BROKEN, str(error), path)
    return SurveyedEnvironment(
        name, str(condition.state), condition.reason, path, environment, condition.record
    )


def check_environments() -> Iterator[Check]:
    """Those that are ready are tried, in their own Python."""
    for one in survey_environments():
        yield _check(one)


def _check(one: SurveyedEnvironment) -> Check:
    name = f"environment {one.name}"
    if one.state == STRAY:
        found = f"{one.path}: {one.reason}"
        return Check(name, "warn", found, f"enginebay env remove {one.name}")
    if one.environment is None:
        return Check(name, "fail", one.reason, "repair or uninstall the plugin that declares it")
    create = f"enginebay env create {one.name}"
    whose = ", ".join(one.backends)
    if one.state != State.READY or one.record is None:
        found = f"{one.state}, so {whose} cannot run: {one.reason}. It is needed since "
        because = f"{one.environment.said.reason}{conflicts(one.environment)}"
        return Check(name, "warn", found + because, create)
    return _check_ready(name, one.environment, one.record)


def _check_ready(name: str, environment: Environment, record: Record) -> Check:
    again = f"enginebay env remove {environment.name}; enginebay env create {environment.name}"
    try:
        interpreter = interpreter_in(place_of(environment.name))
        found = prove(interpreter, environment.said.imports, record.own[CORE])
    except ModelError as error:
        return Check(name, "fail", str(error), again)
    changed = differences(record.installed, found.installed)
    if changed:
        return Check(name, "fail", f"changed since it was made: {changed}", again)
    whose = ", ".join(environment.said.backends)
    return Check(name, "ok", f"ready for {whose}{conflicts(environment)}")


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What an environment lacks, and what is there in another version; empty for neither."""
    lost = [f"{name} {version} is missing" for name, version in then.items() if name not in now]
    others = [
        f"{name} is {now[name]} and was {version}"
        for name, version in then.items()
        if now.get(name, version) != version
    ]
    return ", ".join([*lost, *others])


def conflicts(environment: Environment) -> str:
    """Of what the plugin itself requires, what is here in another version than the one it pins."""
    required = {
        re.split(r"[^\w.-]", line)[0]
        for line in importlib.metadata.requires(environment.info.distribution) or ()
    }
    found = []
    for line in environment.constraints.read_text(encoding="utf-8").splitlines():
        name, _, pinned = line.partition("#")[0].strip().partition("==")
        here = _version(name) if name in required else None
        if here is not None and _public(here) != _public(pinned):
            found.append(f"{name} is {pinned} there and {here} here")
    return f" ({', '.join(found)})" if found else ""


def _public(version: str) -> str:
    """Without what names a build, such as +cpu."""
    return version.partition("+")[0]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
