"""Which interpreter a model's process gets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from enginebay_core.api import ConfigError
from enginebay_core.environments.declaration import find_environment, list_environments
from enginebay_core.environments.place import interpreter_in, place_of
from enginebay_core.environments.record import read_record
from enginebay_core.environments.state import State, look_at

REPAIR: Final = "enginebay env create {}"


def environment_of(backend: str) -> str | None:
    """The environment that is declared for a backend, None for one that lives beside the server.

    Raises what ``find_environment`` raises: a backend's environment is never quietly left out.
    """
    if not list_environments():
        return None
    found = (
        name for name in list_environments() if backend in find_environment(name).said.backends
    )
    return next(found, None)


def interpreter_of(name: str, where: str) -> str:
    """The Python of an environment. ``where`` is the model's place in the config, for messages.

    Inside that environment it is the running one. Raises ConfigError with the command to type
    where the environment is not ready, PluginNotFound where nobody declares it.
    """
    here = read_record(Path(sys.prefix))
    if here is not None and here.name == name:
        return sys.executable
    condition = look_at(find_environment(name))
    if condition.state is not State.READY:
        raise ConfigError(
            f"{where} needs the environment {name!r}, which is {condition.state}: "
            f"{condition.reason}. Type: {REPAIR.format(name)}"
        )
    return str(interpreter_in(place_of(name)))
