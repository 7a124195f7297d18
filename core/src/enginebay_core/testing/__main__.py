"""``python -m enginebay_core.testing NAME``: needs core and pytest, nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from enginebay_core.api import JsonValue
from enginebay_core.testing.run import UNUSABLE, run_contract

INTERRUPTED: Final = 130
"""As a shell says of what Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = dict(_option(text) for text in given.option)
    except ValueError as error:
        parser.exit(UNUSABLE, f"{error}\n")
    placements = (given.placement,) if given.placement else None
    try:
        return run_contract(
            given.backend, given.model, options, given.report, placements=placements
        )
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m enginebay_core.testing",
        description="Test an installed backend against everything that EngineBay expects of one.",
        epilog="Exit code: 0 all claims proved, 1 something failed, 2 nothing could be tested.",
    )
    parser.add_argument("backend", metavar="NAME", help="the backend's name, as in a config")
    parser.add_argument(
        "--model",
        help="a directory, a Hugging Face id or an installed model's name; default: the installed "
        "model of the backend's own name, else pocket",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the backend, the value in JSON or as plain text; may be repeated",
    )
    parser.add_argument(
        "--placement",
        choices=("inline", "process"),
        help="where the backend runs; default: both, each in turn",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result as JSON")
    return parser


def _option(text: str) -> tuple[str, JsonValue]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"--option is {text!r}; write KEY=VALUE, for example max_sequences=4")
    try:
        read: JsonValue = json.loads(value)
    except ValueError:
        read = value
    return key, read


if __name__ == "__main__":
    sys.exit(main())
