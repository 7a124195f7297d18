"""How far loading has come, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from enginebay_core.api import Progress


@contextmanager
def show_progress(first: str) -> Iterator[Progress]:
    """A line that changes and is gone at the end; where nobody watches, one line per stage."""
    from enginebay_server.cli.output import open_console

    console = open_console(stderr=True)
    if not sys.stderr.isatty():
        yield _Lines(first)
        return
    with console.status(first) as status:

        def update(stage: str, done: int = 0, total: int = 0) -> None:
            status.update(f"{stage} ({100 * done // total} %)" if total else stage)

        yield update


class _Lines:
    def __init__(self, first: str) -> None:
        self._last = ""
        self(first)

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        if stage != self._last:
            self._last = stage
            typer.echo(stage, err=True)
