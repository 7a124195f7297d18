"""``enginebay models list``."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from enginebay_server.cli.arguments import AsJson, ConfigFile, Key

models_commands: Final = typer.Typer(no_args_is_help=True, help="Which models there are.")


@models_commands.callback()
def models() -> None:
    """A group of its own, although it has one command."""


@models_commands.command("list")
def list_(
    config: ConfigFile = None,
    url: Annotated[
        str | None, typer.Option(help="Ask this running server instead (base URL, ending in /v1).")
    ] = None,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """The models of the config and the installed ones, or those of a running server.

    Without a config, the one that `enginebay serve` serves. Nothing is loaded.

    \b
    --json prints {"configured": [{"name", "aliases", "backend", "backend_installed", "model"}],
    "installed": [{"name", "distribution", "version"}]}, and with --url {"url", "models": [...]}
    with the models as the server describes them.

    \b
    Examples:
      enginebay models list
      enginebay models list --url http://127.0.0.1:8000/v1
    """
    from enginebay_server.cli.output import print_json

    found = _of_server(url, key) if url else _of_config(config)
    if json:
        print_json(found)
    elif url:
        _print_server(found)
    else:
        _print_config(found)


def _of_server(url: str, key: str | None) -> dict[str, Any]:
    from enginebay_server.cli.remote import Remote

    with Remote(url, key) as remote:
        return {"url": remote.url, "models": remote.models()}


def _of_config(config: Any) -> dict[str, Any]:
    from enginebay_core.plugins import BACKENDS, MODELS, list_plugins
    from enginebay_server.cli.layers import read_layers

    backends = {plugin.name for plugin in list_plugins(BACKENDS)}
    settings = read_layers(config, {}).settings()
    return {
        "configured": [
            {
                "name": name,
                "aliases": model.aliases,
                "backend": model.backend,
                "backend_installed": model.backend in backends,
                "model": model.model,
            }
            for name, model in settings.models.items()
        ],
        "installed": [
            {"name": info.name, "distribution": info.distribution, "version": info.version}
            for info in list_plugins(MODELS)
        ],
    }


def _print_config(found: dict[str, Any]) -> None:
    from enginebay_server.cli.output import open_console, print_table

    console = open_console()
    rows = [
        (
            model["name"],
            model["backend"] + ("" if model["backend_installed"] else " (not installed)"),
            model["model"],
            ", ".join(model["aliases"]),
        )
        for model in found["configured"]
    ]
    print_table(console, ["configured", "backend", "model", "aliases"], rows)
    console.print()
    installed = [
        (one["name"], f"{one['distribution']} {one['version']}") for one in found["installed"]
    ]
    print_table(console, ["installed", "distribution"], installed)


def _print_server(found: dict[str, Any]) -> None:
    from enginebay_server.cli.output import open_console, print_table, printable

    keys = ("id", "backend", "status", "context_length")
    rows = [[printable(str(model.get(key, ""))) for key in keys] for model in found["models"]]
    print_table(open_console(), ["model", "backend", "status", "context"], rows)
