"""All commands under one name, and what their failures look like.

Commands import what they need when they run, so that ``--help`` and the quick ones stay quick.
Exit codes: 0 fine, 1 something failed, 2 the command line, the config, a plugin or a model is at
fault, 130 Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn

import typer

from enginebay_server.cli.bench import bench
from enginebay_server.cli.chat import chat
from enginebay_server.cli.compare import compare
from enginebay_server.cli.config import config_commands
from enginebay_server.cli.doctor import doctor
from enginebay_server.cli.env import env_commands
from enginebay_server.cli.explain import explain
from enginebay_server.cli.export import export
from enginebay_server.cli.models import models_commands
from enginebay_server.cli.plugins import plugins_commands
from enginebay_server.cli.serve import serve

START: Final = """\b
Examples:
  enginebay serve                     the bundled model, on port 8000
  enginebay chat                      talk to it, from another terminal
  enginebay explain "你好"            what happens between a message and its answer
  enginebay doctor                    what is installed and what is wrong
"""

app: Final = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"enginebay {importlib.metadata.version('enginebay-server')}")
        raise typer.Exit


@app.callback(epilog=START)
def enginebay(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """One OpenAI-compatible API over any inference engine."""


app.command()(serve)
app.command()(chat)
app.command()(explain)
app.command()(doctor)
app.command()(bench)
app.command()(compare)
app.command()(export)
app.add_typer(plugins_commands, name="plugins")
app.add_typer(models_commands, name="models")
app.add_typer(config_commands, name="config")
app.add_typer(env_commands, name="env")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script, which exits, and shows a trace only for what nobody foresaw.

    ``arguments`` None means this process's own.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?"
    try:
        app(arguments, prog_name="enginebay")
    except Exception as error:
        from enginebay_core.api import EngineBayError

        if not isinstance(error, EngineBayError):
            raise
        typer.echo(f"enginebay: {error}", err=True)
        sys.exit(exit_code(error))
    sys.exit(0)


def exit_code(error: Exception) -> int:
    """2 where the caller must change something, 1 where something failed."""
    from enginebay_core.api import ConfigError, ModelError, PluginError, RequestError

    return 2 if isinstance(error, ConfigError | PluginError | ModelError | RequestError) else 1
