"""A comparison as SVG: a row per question, a cell per token of A's answer, bars for the speed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from enginebay_core.compare import Comparison, Kind, Place, Verdict
from enginebay_server.cli.compare_text import (
    describe,
    drift_line,
    sides_of,
    summary,
    title_of,
)

WIDTH: Final = 1100
LEFT, CELLS, ROW = 290, 560, 20
"""Where the cells begin, how wide all of them may be together, and how high a row is."""
WIDEST: Final = 14.0
SHADES: Final = ("#edf4fb", "#cfe1f2", "#9fc5e4", "#5fa2d0", "#2570ac")
"""Of drift that rounding explains: each ten times the one before, the last up to the bound."""
BEYOND, UNTOLD, INK, PALE = "#d1362f", "#e4e4e4", "#1c2733", "#66717d"
PARTINGS: Final = {"tie": "#f2a900", "real": "#4d0b08", "unclear": PALE}
VERDICTS: Final = {
    Kind.SAME: "#1c7c43",
    Kind.ROUNDING: "#a87400",
    Kind.REAL: BEYOND,
    Kind.UNCLEAR: PALE,
    Kind.REFUSED: PALE,
}


def picture_of(found: Comparison, problems: Sequence[str]) -> str:
    parts = [*_head(found, problems)]
    top = 112
    for index, verdict in enumerate(found.verdicts):
        parts += _row(found, index, verdict, top + index * ROW)
    top += len(found.verdicts) * ROW + 24
    parts += _legend(found, top)
    parts += _speed(found, top + 54)
    height = top + 54 + 76
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _head(found: Comparison, problems: Sequence[str]) -> Iterator[str]:
    passes = "does not pass" if problems else "passes"
    colour = BEYOND if problems else VERDICTS[Kind.SAME]
    yield _text(24, 34, f"B {passes} for A: {summary(found)}", colour, size=18, bold=True)
    for line, (letter, one) in enumerate(sides_of(found)):
        yield _text(24, 56 + 16 * line, f"{letter}  {one.name}: {describe(one)}", INK)
    yield _text(24, 92, drift_line(found), PALE)


def _row(found: Comparison, index: int, verdict: Verdict, top: int) -> Iterator[str]:
    yield _text(24, top + 13, title_of(found.questions[index].title, 36), INK)
    width = _cell_width(found)
    for place in verdict.places:
        yield from _cell(place, LEFT + place.index * width, top, width, 2 * found.tolerance)
    if not verdict.places:
        yield _text(LEFT, top + 13, title_of(verdict.reason, 88), PALE)
    yield _text(LEFT + CELLS + 16, top + 13, _label(verdict), VERDICTS[verdict.kind], bold=True)


def _cell(place: Place, left: float, top: int, width: float, bound: float) -> Iterator[str]:
    title = f"token {place.index + 1}"
    if place.drift is not None:
        title += f": drift {place.drift.worst:.2g}, KL {place.drift.kl:.2g}"
    yield _box(left, top, width, _shade(place, bound), title)
    if place.parted:
        middle, high = left + width / 2, max(5.0, min(width, 9.0))
        points = f"{middle:.1f},{top + 13} {middle - 4:.1f},{top + 13 - high:.1f} "
        points += f"{middle + 4:.1f},{top + 13 - high:.1f}"
        colour = PARTINGS[_parting(place, bound)]
        yield f'<polygon points="{points}" fill="{colour}" stroke="white" stroke-width="0.7"/>'


def _shade(place: Place, bound: float) -> str:
    if place.drift is None:
        return UNTOLD
    worst = place.drift.worst
    if worst > bound:
        return BEYOND
    tens = 0.0 if worst <= 0 or bound <= 0 else len(SHADES) + math.log10(worst / bound)
    return SHADES[min(max(math.ceil(tens) - 1, 0), len(SHADES) - 1)]


def _parting(place: Place, bound: float) -> str:
    if place.lead is None:
        return "unclear"
    return "tie" if place.lead < bound else "real"


def _label(verdict: Verdict) -> str:
    place = verdict.place
    if place is None or place.lead is None:
        return verdict.kind.value
    return f"{verdict.kind.value}, at {place.index + 1} by {place.lead:.2g}"


def _cell_width(found: Comparison) -> float:
    longest = max((len(verdict.places) for verdict in found.verdicts), default=1)
    return min(WIDEST, CELLS / max(longest, 1))


def _legend(found: Comparison, top: int) -> Iterator[str]:
    bound = 2 * found.tolerance
    yield _text(24, top + 11, "drift of log probabilities", PALE)
    left = float(LEFT)
    for power, shade in enumerate(SHADES, 1 - len(SHADES)):
        yield _box(left, top, 22, shade, "")
        yield _text(left, top + 30, f"{bound * 10**power:.0e}", PALE, size=9)
        left += 44
    for name, shade in (("more: real", BEYOND), ("not told", UNTOLD)):
        yield _box(left, top, 22, shade, "")
        yield _text(left + 28, top + 11, name, PALE)
        left += 112
    for name, key in (("parts, near a tie", "tie"), ("parts for real", "real")):
        points = f"{left},{top + 3} {left + 9},{top + 3} {left + 4.5},{top + 12}"
        yield f'<polygon points="{points}" fill="{PARTINGS[key]}"/>'
        yield _text(left + 15, top + 11, name, PALE)
        left += 132


def _speed(found: Comparison, top: int) -> Iterator[str]:
    rates = [one.speed.tokens_per_second or 0.0 for _, one in sides_of(found)]
    for line, (letter, one) in enumerate(sides_of(found)):
        height, rate = top + 24 * line, rates[line]
        first = one.speed.first_token
        yield _text(24, height + 13, f"{letter}, one at a time", INK)
        yield _box(LEFT, height, CELLS * 0.6 * rate / max(*rates, 1e-9), SHADES[3], "")
        label = f"{rate:.1f} tokens/s" if rate else "not measured"
        label += "" if first is None else f", first after {1000 * first:.1f} ms"
        yield _text(LEFT + CELLS * 0.6 + 12, height + 13, label, INK)


def _box(left: float, top: float, width: float, fill: str, title: str) -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    size = f'width="{max(width - 1, 0.5):.1f}" height="{ROW - 5}"'
    return f'<rect x="{left:.1f}" y="{top}" {size} fill="{fill}">{said}</rect>'


def _text(
    left: float, base: float, text: str, fill: str, *, size: int = 12, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{left:.1f}" y="{base}" font-size="{size}"'
    return f'<text {place}{weight} fill="{fill}">{escape(text)}</text>'
