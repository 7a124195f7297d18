"""A comparison for people: one row per question, the reasons, the speed, whether it passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from enginebay_core.compare import Answer, Comparison, Kind, Recording, Refused, Verdict
from enginebay_server.cli.output import open_console, print_table, printable

STYLES: Final = {
    Kind.SAME: "green",
    Kind.ROUNDING: "cyan",
    Kind.REAL: "bold red",
    Kind.UNCLEAR: "yellow",
    Kind.REFUSED: "dim",
}
TITLE: Final = 36
"""Columns that a question gets."""


def print_comparison(found: Comparison, problems: Sequence[str]) -> None:
    console = open_console()
    sides = [(letter, one.name, describe(one)) for letter, one in sides_of(found)]
    print_table(console, [], sides)
    console.print()
    columns = ["question", "prompt", "tokens", "verdict", "parts at", "margin"]
    columns += ["drift max", "mean", "KL", "ends by"]
    print_table(console, columns, _rows(found))
    _print_reasons(console, found)
    console.print()
    console.print(drift_line(found), soft_wrap=True)
    _print_speed(console, found)
    console.print()
    _print_end(console, found, problems)


def sides_of(found: Comparison) -> tuple[tuple[str, Recording], tuple[str, Recording]]:
    return ("A", found.a), ("B", found.b)


def describe(one: Recording) -> str:
    precision = one.precision or "it does not say in which precision"
    return printable(f"{one.model} on {one.backend}, {precision}")


def drift_line(found: Comparison) -> str:
    explained = f"rounding explains {2 * found.tolerance:.3g}"
    drift = found.drift
    if drift is None:
        why = found.a.silence or found.b.silence or "no prompts are alike"
        return f"drift cannot be measured: {printable(why)}; judged by ids and margins, {explained}"
    return (
        f"drift over {drift.places} tokens: max {drift.worst:.2g}, mean {drift.mean:.2g}, KL "
        f"{drift.kl:.2g} (max {drift.worst_kl:.2g}); {explained}"
    )


def summary(found: Comparison) -> str:
    counts = found.counts
    return ", ".join(f"{counts[kind]} {kind.value}" for kind in Kind if counts[kind])


def title_of(text: str, columns: int) -> str:
    """On one line, cut to so many columns of a terminal."""
    from rich.cells import cell_len, set_cell_size

    line = printable(" ".join(text.split()))
    return line if cell_len(line) <= columns else set_cell_size(line, columns - 1) + "…"


def _rows(found: Comparison) -> list[list[Any]]:
    answers = zip(found.a.answers, found.b.answers, strict=True)
    rows = zip(found.questions, answers, found.verdicts, strict=True)
    return [
        [
            title_of(question.title, TITLE),
            _both(a, b, lambda one: str(len(one.prompt))),
            _both(a, b, lambda one: str(len(one.ids))),
            Text(verdict.kind.value, STYLES[verdict.kind]),
            *_numbers(verdict),
            _both(a, b, lambda one: one.finish.value),
        ]
        for question, (a, b), verdict in rows
    ]


def _both(a: Answer | Refused, b: Answer | Refused, show: Callable[[Answer], str]) -> str:
    """Once where both are alike."""
    shown = [show(one) if isinstance(one, Answer) else "refused" for one in (a, b)]
    return shown[0] if shown[0] == shown[1] else ", ".join(shown)


def _numbers(verdict: Verdict) -> list[str]:
    place, drift = verdict.place, verdict.drift
    lead = place.lead if place else None
    parting = [str(place.index + 1) if place else "-", "-" if lead is None else f"{lead:.2g}"]
    if drift is None:
        return [*parting, "-", "-", "-"]
    return [*parting, *(f"{value:.1g}" for value in (drift.worst, drift.mean, drift.kl))]


def _print_reasons(console: Console, found: Comparison) -> None:
    told = [
        (title_of(question.title, TITLE), verdict)
        for question, verdict in zip(found.questions, found.verdicts, strict=True)
        if verdict.reason
    ]
    if not told:
        return
    console.print()
    for title, verdict in told:
        style = STYLES[verdict.kind]
        line = Text.assemble((f"{verdict.kind.value:<9}", style), (f"{title}: ", "bold"))
        console.print(line.append(printable(verdict.reason)), soft_wrap=True)


def _print_speed(console: Console, found: Comparison) -> None:
    console.print()
    rows = []
    for letter, one in sides_of(found):
        rate, first = one.speed.tokens_per_second, one.speed.first_token
        rows.append(
            [
                letter,
                "-" if rate is None else f"{rate:.1f}",
                "-" if first is None else f"{1000 * first:.1f} ms",
            ]
        )
    print_table(console, ["one at a time", "tokens/s", "first token"], rows)
    if found.speed is not None:
        console.print(f"B has {found.speed:.2f} of A's tokens/s")


def _print_end(console: Console, found: Comparison, problems: Sequence[str]) -> None:
    if not problems:
        console.print(Text(f"B passes for A: {summary(found)}", "bold green"), soft_wrap=True)
        return
    console.print(Text(f"B does not pass for A: {summary(found)}", "bold red"), soft_wrap=True)
    for problem in problems:
        console.print(f"  {printable(problem)}", soft_wrap=True)
