"""Whether an environment can be used, found out without running anything in it."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeGuard

from enginebay_core.environments.declaration import CORE, Environment, list_environments
from enginebay_core.environments.own import OwnDistribution, find_own
from enginebay_core.environments.place import environments_root, interpreter_in, place_of
from enginebay_core.environments.record import Record, read_record


class State(StrEnum):
    MISSING = "missing"
    UNFINISHED = "unfinished"
    OUTDATED = "outdated"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Condition:
    """``reason`` says why the state is not READY."""

    state: State
    reason: str = ""
    record: Record | None = None


def look_at(environment: Environment) -> Condition:
    """Raises PluginNotFound when something that belongs into it is not installed here."""
    place = place_of(environment.name)
    if not place.is_dir():
        return Condition(State.MISSING, "it has not been made")
    record = read_record(place)
    if not is_finished(record, place):
        return Condition(State.UNFINISHED, "making it was begun and did not end", record)
    if record.wanted != wanted(environment):
        reason = "its requirements, or this Python, are others since it was made"
        return Condition(State.OUTDATED, reason, record)
    changed = [
        one for one in own_distributions(environment) if record.own.get(one.name) != one.content
    ]
    if changed:
        names = " and ".join(f"{one.name} {one.version}" for one in changed)
        return Condition(State.OUTDATED, f"{names} here is not what it holds", record)
    return Condition(State.READY, record=record)


def is_finished(record: Record | None, place: Path) -> TypeGuard[Record]:
    """Whether making it ever came to its end, and nothing was lost since."""
    return record is not None and record.proved and interpreter_in(place).exists()


def wanted(environment: Environment) -> str:
    """Changes with everything that decides what an installer would take from an index: our own
    distributions' requirements among it, and none of their code.
    """
    needs = {one.name: one.metadata["METADATA"] for one in own_distributions(environment)}
    parts = [sys.version, environment.own, environment.foreign, needs]
    said = json.dumps(parts, sort_keys=True).encode()
    return hashlib.sha256(said + environment.constraints.read_bytes()).hexdigest()


def own_distributions(environment: Environment) -> list[OwnDistribution]:
    """Core first. Raises PluginNotFound when one is not installed here."""
    return sorted((find_own(name) for name in environment.own), key=lambda one: one.name != CORE)


def strays() -> list[Path]:
    """Environments that no installed plugin declares any more."""
    root, declared = environments_root(), set(list_environments())
    if not root.is_dir():
        return []
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name not in declared]
