"""The way of a request for people: one heading per stop, the values, the file that does it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from enginebay_server.cli.output import open_console, print_table, printable
from enginebay_server.explain import Candidate, Way

INDENT: Final = 3
PIPED_COLUMNS: Final = 100
CONTROL: Final = "magenta"
CUT: Final = "bold yellow"


def print_way(way: Way) -> None:
    console = open_console()
    console.print(f"{way.model} on backend {way.backend}\n", style="bold", soft_wrap=True)
    _print_request(console, way)
    _print_template(console, way)
    _print_prompt(console, way)
    _print_output(console, way)
    _print_text(console, way)
    _print_wire(console, way)


def _print_request(console: Console, way: Way) -> None:
    _head(console, 1, "What a client sends: messages as JSON", way.files["request"])
    _block(console, _json(way.request))


def _print_template(console: Console, way: Way) -> None:
    _head(console, 2, "The model's chat template makes one text of them", way.files["template"])
    _block(console, way.template)


def _print_prompt(console: Console, way: Way) -> None:
    count = f"{way.cut} prompt ids"
    _head(
        console, 3, f"The text becomes {count}, each with what it stands for", way.files["prompt"]
    )
    cells = (
        _cell(" ".join(map(str, token.ids)), token.text, token.control) for token in way.prompt
    )
    _flow(console, cells, gap="   ")


def _print_output(console: Console, way: Way) -> None:
    title = f"The model adds {len(way.output)} ids, one at a time, to the prompt's {way.cut}"
    _head(console, 4, title, way.files["output"])
    _flow(console, _row(way), gap=" ")
    rows = [
        (
            str(position),
            str(chosen.id),
            _shown(chosen),
            _percent(chosen),
            ", ".join(f"{_shown(other)} {_percent(other)}" for other in chosen.alternatives),
        )
        for position, chosen in enumerate(way.output, way.cut)
    ]
    print_table(console, ["place", "id", "text", "probability", "nearest others"], rows, INDENT)
    _block(console, _ending(way))


def _print_text(console: Console, way: Way) -> None:
    _head(console, 5, "The new ids become text, without control tokens", way.files["text"])
    if way.reasoning:
        _block(console, f"thinking: {way.reasoning}", style="dim")
    _block(console, way.content)


def _print_wire(console: Console, way: Way) -> None:
    _head(console, 6, "What the client gets: one JSON", way.files["wire"])
    _block(console, _json(way.completion))
    console.print(" " * INDENT + 'or, with "stream": true, events:\n', style="bold", soft_wrap=True)
    _block(console, "\n\n".join(_some(way.stream)))


def _head(console: Console, number: int, title: str, files: Iterable[str]) -> None:
    console.print(f"{number}  {title}", style="bold cyan", soft_wrap=True)
    console.print(" " * INDENT + ", ".join(files) + "\n", style="dim", soft_wrap=True)


def _block(console: Console, text: str, style: str | None = None) -> None:
    for line in printable(text).split("\n"):
        console.print(Text(" " * INDENT + line, style=style or ""), soft_wrap=True)
    console.print()


def _flow(console: Console, cells: Iterable[Text], gap: str) -> None:
    """As many cells on a line as fit, none broken."""
    width = console.width if console.is_terminal else PIPED_COLUMNS
    line = Text(" " * INDENT)
    for cell in cells:
        if line.cell_len > INDENT and line.cell_len + cell.cell_len > width:
            console.print(line, soft_wrap=True)
            line = Text(" " * INDENT)
        line.append_text(cell).append(gap)
    console.print(line, soft_wrap=True)
    console.print()


def _cell(number: str, text: str, control: bool) -> Text:
    cell = Text(number + " ")
    return cell.append(_quoted(text, control), style=CONTROL if control else "green")


def _row(way: Way) -> Iterator[Text]:
    for token in way.ids[: way.cut]:
        yield Text(str(token), style="dim")
    yield Text(f"|cut at {way.cut}|", style=CUT)
    for token in way.ids[way.cut :]:
        yield Text(str(token), style="bold")


def _ending(way: Way) -> str:
    if way.finish == "stop":
        ends = " or ".join(map(str, way.stop_ids))
        return f"Then it chose a stop id ({ends}), which ends the answer and is no part of it."
    return f"It was cut off there: max_tokens is {way.request['max_tokens']}."


def _shown(token: Candidate) -> str:
    return _quoted(token.text, token.control)


def _quoted(text: str, control: bool) -> str:
    """Spaces and line ends become visible; control tokens need no quotes."""
    return printable(text) if control else repr(text)


def _percent(token: Candidate) -> str:
    return "" if token.probability is None else f"{100 * token.probability:.1f}%"


def _some(stream: tuple[str, ...]) -> list[str]:
    """The first three, and the last three with the end of the answer, usage and [DONE]."""
    left_out = len(stream) - 6
    if left_out < 2:
        return list(stream)
    return [*stream[:3], f"({left_out} more like it)", *stream[-3:]]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
