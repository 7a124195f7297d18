"""Results as a page and as plots."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.bars import Bar
from tests.benchmarks.names import OURS, is_ours
from tests.benchmarks.results import FILE, Measured, Place, Results

_PLOTS: Final = Path(__file__).with_name("plots.py")
_IMAGES: Final = {
    "tokens-per-second.png": "Tokens per second by streams and server",
    "gaps.png": "Waits between tokens by streams and server",
}
_WORDS: Final = {
    "tokens_per_second": "tokens/s",
    "decode_per_second": "tokens/s, decoding",
    "frames_per_second": "frames/s",
    "ttft_p50": "TTFT p50",
    "ttft_p99": "TTFT p99",
    "gap_p50": "between tokens p50",
    "gap_p99": "between tokens p99",
    "cpu_per_token": "processors' time per token",
    "first_ttft": "first turn's TTFT",
    "second_ttft": "second turn's TTFT",
    "fresh_ttft": "new chat's TTFT",
    "step": "median step",
    "worst_gap": "worst gap",
    "late_ttft": "late prompt's TTFT",
}


def write_page(results: Results, bars: Sequence[Bar], directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    page = directory / "results.md"
    page.write_text("\n".join(_page(results, bars)) + "\n")
    return page


def draw_plots(directory: Path, python: Path) -> None:
    """PNGs beside the results, by a Python that has matplotlib."""
    subprocess.run([str(python), str(_PLOTS), str(directory / FILE)], check=True)


def _page(results: Results, bars: Sequence[Bar]) -> Iterator[str]:
    yield "# Benchmark results\n"
    yield "Written by `make bench`; see [how it measures, and how to read this](index.md).\n"
    yield from _warnings(results)
    facts = [[key, value] for key, value in results.setting.items()]
    limit = _cell("tokens_per_second", results.limit)
    yield from _table(["", ""], [*facts, ["one stream at memory's bandwidth", f"{limit} tokens/s"]])
    yield "\n## Bars\n"
    head = ["", OURS, "against", "it has", "ratio", "bar", "", "runs"]
    yield from _table(head, [_bar_row(bar, results) for bar in bars])
    yield ""
    if any(name.startswith("short/") for name in results.scenarios):
        yield from (f"![{words}]({file})" for file, words in _IMAGES.items())
    for name, measured in results.scenarios.items():
        yield f"\n## {measured.title}\n"
        yield from _scenario(name, measured, results)


def _warnings(results: Results) -> Iterator[str]:
    busy = {name: one.conditions.busy for name, one in results.scenarios.items()}
    for name, what in busy.items():
        if what:
            yield f"**{name} was measured on a busy machine, and says little: {what}.**\n"


def _bar_row(bar: Bar, results: Results) -> list[str]:
    sign = "≤" if bar.at_most else "≥"
    measured = results.scenarios.get(bar.ours.scenario)
    busy = ", on a busy machine" if measured and measured.conditions.busy else ""
    ratio = bar.ratio(results)
    between, limit = "–" if math.isnan(ratio) else f"{ratio:.2f} ×", f"{bar.limit:g} ×"
    if bar.of == "figure":
        limit = f"{bar.limit:,.0f}"
    if bar.of == "difference":
        between, limit = (f"{1000 * value:+.1f} ms" for value in (bar.value(results), bar.limit))
    return [
        bar.title,
        _cell(bar.ours.figure, results.median(bar.ours)),
        _opponent(bar),
        _cell(bar.theirs.figure if bar.theirs else bar.ours.figure, bar.peer(results)),
        between,
        f"{sign} {limit}",
        bar.verdict(results) + busy,
        str(results.repetitions(bar.ours)),
    ]


def _opponent(bar: Bar) -> str:
    if bar.theirs is None:
        return "one stream at memory's bandwidth"
    if bar.theirs.contender != bar.ours.contender:
        return bar.theirs.contender
    if bar.theirs.scenario != bar.ours.scenario:
        return bar.theirs.scenario
    return _WORDS[bar.theirs.figure]


def _scenario(name: str, measured: Measured, results: Results) -> Iterator[str]:
    keys = list(dict.fromkeys(key for runs in measured.runs.values() for key in runs[0]))
    rows = []
    reference = next((name for name in measured.runs if is_ours(name)), OURS)
    for contender, runs in measured.runs.items():
        cells = [_cell(key, results.median(Place(name, contender, key))) for key in keys]
        ratio = results.ratio(Place(name, reference, keys[0]), Place(name, contender, keys[0]))
        against = "" if contender == reference or math.isnan(ratio) else f"{ratio:.2f} ×"
        rows.append([contender, *cells, against, str(len(runs))])
    if rows:
        head = ["", *(_WORDS[key] for key in keys), f"{reference} has", "runs"]
        yield from _table(head, rows)
        yield ""
    for contender, why in measured.missing.items():
        yield f"- {contender}: {' '.join(why.split())[:300]}"
    seen = measured.conditions
    commit = f" at commit `{seen.commit}`" if seen.commit else ""
    yield f"- `{name}`, {seen.when} UTC{commit}; least share of a core {100 * seen.share:.0f} %"


def _cell(figure: str, value: float) -> str:
    """Times in milliseconds, those of one token in microseconds."""
    if math.isnan(value):
        return "–"
    if figure.endswith("_per_second"):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"
    if figure.endswith("_per_token"):
        return f"{1e6 * value:,.0f} µs"
    return f"{1000 * value:,.0f} ms" if value >= 0.1 else f"{1000 * value:.1f} ms"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
