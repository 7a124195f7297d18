"""``enginebay doctor``."""

from __future__ import annotations

from typing import Final

import typer

from enginebay_server.cli.arguments import AsJson, ConfigFile

STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(config: ConfigFile = None, json: AsJson = False) -> None:
    """Look at everything that EngineBay needs, and say how to repair what is wrong.

    Nothing is loaded, changed or downloaded. The exit code is 1 when anything fails; warnings do
    not count.

    \b
    --json prints {"ok", "checks": [{"name", "state": "ok" | "warn" | "fail", "found",
    "repair"}]}.

    \b
    Examples:
      enginebay doctor
      enginebay doctor --json | jq '.checks[] | select(.state != "ok")'
    """
    from enginebay_server.cli.check import Check
    from enginebay_server.cli.checks import run_checks
    from enginebay_server.cli.output import print_json
    from enginebay_server.cli.progress import show_progress

    with show_progress("looking around"):
        checks: list[Check] = run_checks(config)
    failed = any(check.state == "fail" for check in checks)
    if json:
        print_json({"ok": not failed, "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            print_check(check.name, check.state, check.found, check.repair)
    if failed:
        raise typer.Exit(1)


def print_check(name: str, state: str, found: str, repair: str | None) -> None:
    from rich.text import Text

    from enginebay_server.cli.output import open_console, printable

    console = open_console()
    begin = ((f"{state:<5}", STYLES[state]), (f"{name}: ", "bold"))
    console.print(Text.assemble(*begin, printable(found)), soft_wrap=True)
    if repair and state != "ok":
        console.print(Text(f"     {printable(repair)}", "dim"), soft_wrap=True)
