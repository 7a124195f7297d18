"""``enginebay plugins list | show | check``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from enginebay_server.cli.arguments import AsJson, OptionPairs, parse_pairs

if TYPE_CHECKING:
    from enginebay_core.placement import Placement
    from enginebay_core.plugins import PluginInfo
    from enginebay_server.cli.survey import Surveyed


class Place(StrEnum):
    """Placements, for the command line."""

    inline = "inline"
    process = "process"


plugins_commands: Final = typer.Typer(
    no_args_is_help=True, help="What is installed: backends, tokenizers and models."
)
CAPABILITIES: Final = (
    "declared per loaded model: GET /v1/models/{id} of a server, or `enginebay plugins check`"
)
STYLES: Final = {"ok": "green", "broken": "bold red", "conflict": "bold yellow"}


@plugins_commands.command("list")
def list_(json: AsJson = False) -> None:
    """All plugins, and whether each loads (tried in a child process of its own).

    A name that two distributions claim is a conflict. The exit code is 0 whatever is found.

    \b
    --json prints {"plugins": [{"kind", "group", "name", "distribution", "version", "target",
    "state": "ok" | "broken" | "conflict", "reason"}]}.

    \b
    Examples:
      enginebay plugins list
      enginebay plugins list --json | jq '.plugins[] | select(.state != "ok")'
    """
    from enginebay_server.cli.output import print_json
    from enginebay_server.cli.survey import installed_plugins

    found = _survey(installed_plugins())
    if json:
        print_json({"plugins": [one.as_json() for one in found]})
    else:
        print_plugins(found)


@plugins_commands.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the config names it.")],
    json: AsJson = False,
) -> None:
    """Who offers a plugin, and the options of a backend.

    The exit code is 1 when one of that name does not load.

    \b
    --json prints {"plugins": [...]}: what `list` prints, and for a backend that loads
    "tokenizer", "capabilities" and "options": [{"name", "type", "required", "default",
    "description"}].

    \b
    Examples:
      enginebay plugins show transformers
      enginebay plugins show toy --json
    """
    from enginebay_server.cli.output import print_json

    found = _survey(_named(name))
    if json:
        print_json({"plugins": [{**one.as_json(), **_backend_json(one)} for one in found]})
    else:
        for one in found:
            _print_one(one)
    if any(one.state != "ok" for one in found):
        raise typer.Exit(1)


@plugins_commands.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A backend.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Default: the installed model of the backend's own name, else the bundled one.",
        ),
    ] = None,
    option: OptionPairs = None,
    placement: Annotated[
        Place | None,
        typer.Option(help="Where the backend runs. Default: in both places, one after the other."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write what was found to this file, as JSON.")
    ] = None,
) -> None:
    """Prove what a backend claims: run the contract kit on it.

    The exit code is 0 when every claim is proved, 1 when one is not, 2 when nothing could be
    tested. Needs pytest.

    \b
    Examples:
      enginebay plugins check toy
      enginebay plugins check transformers --model ./checkpoint --option dtype=float32
    """
    options = parse_pairs(option, "--option")
    raise typer.Exit(run_check(name, model, options, report, placement))


def print_plugins(found: Sequence[Surveyed]) -> None:
    """One line each, and below it why it does not load."""
    from rich.text import Text

    from enginebay_server.cli.output import open_console, print_table, printable

    rows = []
    for one in found:
        info = one.info
        state = Text(one.state, STYLES[one.state])
        reason = printable(one.reason or "")
        row = [one.kind, info.name, state, info.distribution, info.version, info.target, reason]
        rows.append(row)
    columns = ["kind", "name", "state", "distribution", "version", "target", "reason"]
    print_table(open_console(), columns, rows)


def _survey(plugins: Sequence[PluginInfo]) -> list[Surveyed]:
    from enginebay_server.cli.progress import show_progress
    from enginebay_server.cli.survey import survey

    with show_progress(f"trying {len(plugins)} plugins"):
        return survey(plugins)


def _named(name: str) -> list[PluginInfo]:
    from enginebay_core.api import PluginNotFound
    from enginebay_core.plugins.suggest import suggest
    from enginebay_server.cli.survey import installed_plugins

    plugins = installed_plugins()
    matching = [info for info in plugins if info.name == name]
    if not matching:
        known = sorted({info.name for info in plugins})
        near = suggest(name, known)
        meant = f"; did you mean {near!r}?" if near else ""
        raise PluginNotFound(
            f"no plugin named {name!r} is installed{meant} (installed: {', '.join(known)})"
        )
    return matching


def _backend_json(one: Surveyed) -> dict[str, Any]:
    from enginebay_core.plugins import BACKENDS, load_backend
    from enginebay_server.cli.option_docs import option_docs

    if one.info.group != BACKENDS or one.state != "ok":
        return {}
    backend = load_backend(one.info.name)
    return {
        "tokenizer": backend.tokenizer,
        "capabilities": CAPABILITIES,
        "options": [doc.as_json() for doc in option_docs(backend.options)],
    }


def _print_one(one: Surveyed) -> None:
    from enginebay_server.cli.output import open_console, print_table, printable

    console = open_console()
    described = {**one.as_json(), **_backend_json(one)}
    options = described.pop("options", None)
    console.print(f"{described.pop('kind')} {described.pop('name')}", style="bold")
    facts = [(key, printable(str(value))) for key, value in described.items() if value is not None]
    print_table(console, [], facts, indent=2)
    if options:
        rows = [
            (doc["name"], doc["type"], _default(doc), printable(doc["description"]))
            for doc in options
        ]
        console.print()
        print_table(console, ["option", "type", "default", "what it does"], rows, indent=2)
    console.print()


def _default(doc: dict[str, Any]) -> str:
    import json

    return "required" if doc["required"] else json.dumps(doc["default"], ensure_ascii=False)


def run_check(
    name: str,
    model: str | None,
    options: dict[str, Any],
    report: Path | None,
    placement: Place | None,
) -> int:
    """The kit's exit code. Raises PluginNotFound first, and PluginBroken without pytest."""
    import importlib.util
    import subprocess

    from enginebay_core.api import PluginBroken
    from enginebay_core.plugins import load_backend

    load_backend(name)
    if importlib.util.find_spec("pytest") is None:
        raise PluginBroken('the contract kit needs pytest: pip install "enginebay-core[testing]"')
    from enginebay_core.environments import environment_of
    from enginebay_core.testing import run_contract

    environment = environment_of(name)
    if environment is not None:
        command = command_there(environment, name, model, options)
        command += ["--report", str(report)] if report else []
        command += ["--placement", placement.value] if placement else []
        return subprocess.run(command, check=False).returncode  # noqa: S603 - composed above
    names: dict[Place, Placement] = {Place.inline: "inline", Place.process: "process"}
    placements = None if placement is None else (names[placement],)
    return run_contract(name, model, options, report, placements=placements)


def command_there(
    environment: str, name: str, model: str | None, options: dict[str, Any]
) -> list[str]:
    """What runs the kit in the environment that the backend must have. Raises ConfigError where
    that is not made.
    """
    import json

    from enginebay_core.environments import interpreter_of
    from enginebay_core.plugins import resolve_model
    from enginebay_core.testing.subject import default_model, ignore_progress

    kit = [interpreter_of(environment, f"backend {name!r}"), "-I", "-m", "enginebay_core.testing"]
    directory = resolve_model(model or default_model(name), ignore_progress)
    settings = [f"--option={key}={json.dumps(value)}" for key, value in options.items()]
    return [*kit, name, "--model", str(directory), *settings]
