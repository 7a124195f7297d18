"""``enginebay config show | check | schema``."""

from __future__ import annotations

from typing import Final

import typer

from enginebay_server.cli.arguments import AsJson, ConfigFile, SetPairs, parse_pairs

config_commands: Final = typer.Typer(
    no_args_is_help=True, help="What the config says, and whether it can be served."
)


@config_commands.command()
def show(config: ConfigFile = None, set_: SetPairs = None, json: AsJson = False) -> None:
    """The settings that apply, and where each comes from. Secrets are masked.

    Command line over environment (ENGINEBAY_SERVER__PORT) over file over default.

    \b
    --json prints {"file", "settings": {...}, "sources": {"server.port": "default" | "file" |
    "environment" | "command line", ...}}.

    \b
    Examples:
      enginebay config show
      enginebay config show --config team.toml --set server.port=80 --json
    """
    from enginebay_server.cli.config_check import inline_risks
    from enginebay_server.cli.effective import effective, masked_settings
    from enginebay_server.cli.layers import read_layers
    from enginebay_server.cli.output import open_console, print_json, print_table, printable

    layers = read_layers(config, parse_pairs(set_, "--set"))
    read = layers.settings()
    settings = masked_settings(read)
    rows = list(effective(settings, layers))
    if json:
        sources = {row.key: row.source for row in rows}
        print_json({"file": _text(layers.file), "settings": settings, "sources": sources})
        return
    console = open_console()
    console.print(f"file: {layers.file or 'none'}", soft_wrap=True)
    cells = [(row.key, printable(row.written), row.source) for row in rows]
    print_table(console, ["setting", "value", "source"], cells)
    for risk in inline_risks(read):
        console.print(f"note: {printable(risk)}", soft_wrap=True)


@config_commands.command()
def check(config: ConfigFile = None, set_: SetPairs = None, json: AsJson = False) -> None:
    """Whether `enginebay serve` would take this config, without loading a model.

    The exit code is 0 when it would and 2 when not; warnings do not change it.

    \b
    --json prints {"ok", "file", "errors": [...], "warnings": [...]}.

    \b
    Examples:
      enginebay config check
      enginebay config check --config team.toml
    """
    from enginebay_server.cli.config_check import check_config
    from enginebay_server.cli.output import print_json

    checked = check_config(config, parse_pairs(set_, "--set"))
    if json:
        print_json(checked.as_json())
    else:
        for warning in checked.warnings:
            typer.echo(f"warning: {warning}", err=True)
        for error in checked.errors:
            typer.echo(f"enginebay: {error}", err=True)
        if not checked.errors:
            typer.echo(f"{checked.file or 'the default config'} can be served")
    if checked.errors:
        raise typer.Exit(2)


@config_commands.command()
def schema() -> None:
    """JSON Schema of the config on stdout, with the options of every installed backend.

    \b
    Examples:
      enginebay config schema > enginebay.schema.json
    """
    from enginebay_server.cli.output import print_json
    from enginebay_server.config import config_schema

    print_json(config_schema())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
