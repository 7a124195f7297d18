"""What commands print: colours for a person, plain text for a pipe, JSON for a machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH: Final = 10_000
"""Columns of what is no terminal: tables take what they need, and no line is folded."""

_CONTROL_PICTURES: Final = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_VISIBLE: Final = {
    **{code: picture for code, picture in _CONTROL_PICTURES.items() if code not in (0x09, 0x0A)},
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def open_console(*, stderr: bool = False) -> Console:
    """A console that takes ``[brackets]`` and ``:colons:`` for what they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(
        file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False
    )


def print_json(value: Any) -> None:
    """On stdout, alone there."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], indent: int = 0
) -> None:
    """Cells are texts or Rich's own; no columns means no header."""
    from rich.padding import Padding
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.show_header = bool(columns)
    for row in rows:
        table.add_row(*row)
    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, indent), expand=False))
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def printable(text: str) -> str:
    """A model's or a server's text without power over the terminal: control characters but tab
    and newline become visible signs.
    """
    return text.translate(_VISIBLE)
