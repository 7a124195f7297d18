"""``enginebay env create | list | remove``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from enginebay_server.cli.arguments import AsJson

if TYPE_CHECKING:
    from pathlib import Path

env_commands: Final = typer.Typer(
    no_args_is_help=True,
    help="Python environments for engines that cannot live beside the others.",
)
STYLES: Final = {"ready": "green", "missing": "dim", "broken": "bold red", "stray": "yellow"}
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `enginebay env list` shows it.")]


@env_commands.command()
def create(
    name: Name,
    index: Annotated[
        str | None,
        typer.Option(
            help="One more package index, such as https://download.pytorch.org/whl/cpu for torch "
            "without CUDA."
        ),
    ] = None,
) -> None:
    """Make an environment, or bring it up to date.

    Installs the plugin's own tested set with uv, where that is found, else with pip; then this
    installation's enginebay-core and the plugin itself; then imports the engine there. Safe to
    repeat after a failure or Ctrl-C: what was downloaded is not downloaded again.

    \b
    Examples:
      enginebay env create optimum
      enginebay env create optimum --index https://download.pytorch.org/whl/cpu
    """
    from enginebay_core.environments import create_environment
    from enginebay_core.environments.place import place_of
    from enginebay_server.cli.output import open_console
    from enginebay_server.cli.progress import show_progress

    with show_progress(f"environment {name}") as progress:
        create_environment(name, progress, index)
    open_console().print(f"{name} is ready: {place_of(name)}", soft_wrap=True)


@env_commands.command("list")
def list_(json: AsJson = False) -> None:
    """All environments that plugins declare, made or not, and those nobody declares any more.

    A state is ready, missing, unfinished, outdated, broken (its plugin's files make no sense) or
    stray (its plugin is gone). Nothing in them is run: `enginebay doctor` does that.

    \b
    --json prints {"environments": [{"name", "state", "reason", "backends", "distribution", "why",
    "path", "python", "size"}]}; "python" is null where there is none, "size" is what making it
    downloads, in words.

    \b
    Examples:
      enginebay env list
      enginebay env list --json | jq -r '.environments[] | select(.state != "ready") | .name'
    """
    from enginebay_server.cli.environments import survey_environments
    from enginebay_server.cli.output import open_console, print_json, print_table, printable

    found = survey_environments()
    if json:
        print_json({"environments": [one.as_json() for one in found]})
        return
    console = open_console()
    if not found:
        console.print("no installed plugin needs an environment of its own")
        return
    rows: list[list[Any]] = []
    for one in found:
        backends = ", ".join(one.backends)
        rows.append([one.name, _styled(one.state), backends, str(one.path), printable(one.reason)])
    print_table(console, ["name", "state", "backends", "path", "reason"], rows)


@env_commands.command()
def remove(name: Name) -> None:
    """Delete an environment, also one whose plugin is gone. End the servers that use it first.

    \b
    Examples:
      enginebay env remove optimum
    """
    from enginebay_core.environments import remove_environment
    from enginebay_server.cli.output import open_console
    from enginebay_server.cli.progress import show_progress

    with show_progress(f"removing {name}") as progress:
        place: Path = remove_environment(name, progress)
    open_console().print(f"{place} is gone", soft_wrap=True)


def _styled(state: str) -> Any:
    from rich.text import Text

    return Text(state, STYLES.get(state, "yellow"))
