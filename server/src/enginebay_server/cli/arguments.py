"""Options that several commands share, and ``key=value``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The config; else ./enginebay.toml where there is one."),
]
SetPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting of the config, by its place in the file; repeatable. The value is TOML, "
        "or else text.",
    ),
]
OptionPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="One of the backend's own options (`enginebay plugins show BACKEND`); repeatable.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar=["ENGINEBAY_SERVER__API_KEY", "OPENAI_API_KEY"],
        help="The server's API key.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")]


def parse_pairs(pairs: Sequence[str] | None, flag: str) -> dict[str, Any]:
    """``["server.port=1", "server.host=::"]`` as nested tables; a later pair wins."""
    from enginebay_server.config.sources import merge

    tables: dict[str, Any] = {}
    for pair in pairs or ():
        tables = merge(tables, _parse_pair(pair, flag))
    return tables


def _parse_pair(pair: str, flag: str) -> Mapping[str, Any]:
    key, equals, value = pair.partition("=")
    if not (equals and key.strip()):
        raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint=flag)
    for written in (value, json.dumps(value)):
        try:
            return tomllib.loads(f"{key} = {written}")
        except tomllib.TOMLDecodeError:
            continue
    raise typer.BadParameter(
        f"{key!r} in {pair!r} is no key; write it as in the config file", param_hint=flag
    )
