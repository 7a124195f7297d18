"""What all commands have in common."""

import importlib.metadata
import subprocess
import sys

import pytest
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

from enginebay_core.api import (
    ConfigError,
    EngineError,
    ModelError,
    PluginNotFound,
    RequestError,
)
from enginebay_server.cli.app import app, exit_code

HEAVY = {"fastapi", "uvicorn", "starlette", "torch", "transformers", "httpx"}
COMMANDS = [
    ("serve",),
    ("chat",),
    ("explain",),
    ("doctor",),
    ("bench",),
    ("compare",),
    ("export",),
    ("plugins", "list"),
    ("plugins", "show"),
    ("plugins", "check"),
    ("models", "list"),
    ("config", "show"),
    ("config", "check"),
    ("config", "schema"),
    ("env", "create"),
    ("env", "list"),
    ("env", "remove"),
]


def commands_of(typer: Typer) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, command in get_command(typer).commands.items():  # type: ignore[attr-defined]  # a group
        below = getattr(command, "commands", None)
        found |= {(name, inner) for inner in below} if below else {(name,)}
    return found


def test_no_command_is_left_out_of_these_tests() -> None:
    assert commands_of(app) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example_of_every_command(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    assert f"Examples:\n    enginebay {' '.join(command)}" in done.output


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["plugins", "list"], ["models", "list"]], ids=" ".join
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import runpy, sys
sys.argv = ["enginebay", *{arguments!r}]
try:
    runpy.run_module("enginebay_server", run_name="__main__")
except SystemExit as ended:
    assert ended.code == 0, ended.code
loaded = {{name.partition(".")[0] for name in sys.modules}}
print("\\nheavy:", sorted(loaded & set({HEAVY!r})))
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.endswith("heavy: []\n")


def test_the_version_is_that_of_the_distribution() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.output == f"enginebay {importlib.metadata.version('enginebay-server')}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (PluginNotFound("x"), 2),
        (ModelError("x"), 2),
        (RequestError("x"), 2),
        (EngineError("x"), 1),
    ],
)
def test_exit_codes_tell_whose_turn_it_is(error: Exception, code: int) -> None:
    assert exit_code(error) == code
