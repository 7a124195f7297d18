"""Python environments for engines that cannot live beside the others. A plugin declares one, the
operator makes it with one command, a model's process then runs with its Python.
"""

from enginebay_core.environments.create import create_environment, remove_environment
from enginebay_core.environments.declaration import (
    Environment,
    find_environment,
    list_environments,
)
from enginebay_core.environments.finding import environment_of, interpreter_of
from enginebay_core.environments.state import Condition, State, look_at, strays

__all__ = [
    "Condition",
    "Environment",
    "State",
    "create_environment",
    "environment_of",
    "find_environment",
    "interpreter_of",
    "list_environments",
    "look_at",
    "remove_environment",
    "strays",
]
