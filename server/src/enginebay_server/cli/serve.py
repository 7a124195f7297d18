"""``enginebay serve``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from enginebay_server.cli.arguments import ConfigFile, OptionPairs, SetPairs, parse_pairs

NO_FILE: Final = Path(os.devnull)
"""A config that says nothing."""


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A Hugging Face id, a directory or an installed model. Without it: the models of "
            "the config, or the bundled one.",
        ),
    ] = None,
    *,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="What runs the model.")
    ] = None,
    option: OptionPairs = None,
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    set_: SetPairs = None,
) -> None:
    """Serve the OpenAI API until Ctrl-C.

    With MODEL, --backend or --option it serves that one model and reads no config file.

    \b
    Examples:
      enginebay serve
      enginebay serve Qwen/Qwen3-0.6B --option dtype=float32
      enginebay serve ./my-checkpoint --backend numpy --port 0
      enginebay serve --config team.toml --set server.shutdown_seconds=5
    """
    options = parse_pairs(option, "--option")
    settings = merge_settings(host, port, parse_pairs(set_, "--set"))
    if model is not None or backend or options:
        settings = with_one_model(settings, model, backend, options, config)
        config = NO_FILE
    run(config, settings)


def merge_settings(
    host: str | None, port: int | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """``--host`` and ``--port`` are short for two settings."""
    from enginebay_server.config.sources import merge

    short = {"host": host, "port": port}
    said = {key: value for key, value in short.items() if value is not None}
    return merge(settings, {"server": said} if said else {})


def with_one_model(
    settings: Mapping[str, Any],
    model: str | None,
    backend: str | None,
    options: Mapping[str, Any],
    config: Path | None,
) -> dict[str, Any]:
    """Says so when there is a config that this passes over. Raises ModelError before anything is
    opened for what cannot be a model.
    """
    from enginebay_core.plugins import require_model_name
    from enginebay_server.cli.model_choice import model_tables
    from enginebay_server.config import DEFAULT_FILE
    from enginebay_server.config.sources import merge

    if config is not None:
        raise typer.BadParameter(
            "a config has its own models; give either --config or MODEL, --backend and --option",
            param_hint="--config",
        )
    if model is not None:
        require_model_name(model)
    if DEFAULT_FILE.is_file():
        typer.echo(f"./{DEFAULT_FILE} is not read: the model is named here", err=True)
    return merge(settings, {"models": model_tables(model, backend, options)})


def run(config: Path | None, settings: Mapping[str, Any]) -> None:
    from enginebay_server.config import load_settings

    loaded = load_settings(config, settings)
    from enginebay_server.run import serve as serve_settings

    code = serve_settings(loaded)
    if code:
        raise typer.Exit(code)
