"""Results as a page, as JSON, and as plots."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.bars import Bar
from tests.benchmarks.figures import Results
from tests.benchmarks.machine import Calibration
from tests.benchmarks.scenarios import OURS, Scenario

_PLOTS: Final = Path(__file__).with_name("plots.py")
_COLUMNS: Final = {
    "tokens_per_second": "tokens/s",
    "decode_per_second": "decoding alone",
    "ttft_p50": "TTFT p50",
    "ttft_p99": "p99",
    "gap_p50": "between tokens p50",
    "gap_p99": "p99 ",
}
_RATES: Final = frozenset({"tokens_per_second", "decode_per_second", "frames_per_second"})


@dataclass(frozen=True)
class Circumstances:
    """Where and how it was measured; ``facts`` is for the page, in order."""

    facts: Mapping[str, str]
    before: Calibration
    after: Calibration


def write_report(
    out: Path,
    results: Results,
    scenarios: Sequence[Scenario],
    bars: Sequence[Bar],
    circumstances: Circumstances,
) -> Path:
    """``results.json`` and ``results.md`` in ``out``; gives the former."""
    out.mkdir(parents=True, exist_ok=True)
    data = out / "results.json"
    data.write_text(json.dumps(_clean(as_json(results, scenarios, bars, circumstances)), indent=1))
    page = "\n".join(_page(results, scenarios, bars, circumstances))
    (out / "results.md").write_text(page + "\n")
    return data


def draw_plots(data: Path, python: Path) -> None:
    """PNGs beside ``data``, by a Python that has matplotlib."""
    subprocess.run([str(python), str(_PLOTS), str(data)], check=True)


def as_json(
    results: Results,
    scenarios: Sequence[Scenario],
    bars: Sequence[Bar],
    circumstances: Circumstances,
) -> dict[str, Any]:
    return {
        **asdict(circumstances),
        "limit_tokens_per_second": results.limit,
        "titles": {scenario.name: scenario.title for scenario in scenarios},
        "bars": [
            {
                "title": bar.title,
                "limit": bar.limit,
                "at_most": bar.at_most,
                "value": bar.value(results),
                "verdict": bar.verdict(results),
            }
            for bar in bars
        ],
        "runs": results.runs,
        "skipped": results.skipped,
    }


def _page(
    results: Results,
    scenarios: Sequence[Scenario],
    bars: Sequence[Bar],
    circumstances: Circumstances,
) -> Iterator[str]:
    yield "# Benchmark results\n"
    yield "Written by `make bench`; [how it measures](index.md) is a page of its own.\n"
    yield from _facts(circumstances, results)
    yield "\n## Bars\n"
    yield from table(["", "measured", "bar", ""], [_bar_row(bar, results) for bar in bars])
    yield "\n![Tokens per second](tokens-per-second.png)\n"
    yield "![Waits between tokens](gaps.png)\n"
    for scenario in scenarios:
        if results.runs.get(scenario.name):
            yield f"\n## {scenario.title}\n"
            yield from _scenario(results, scenario.name)
    if "frames" in results.runs:
        yield "\n## Frames of the HTTP stack on one core\n"
        yield from _scenario(results, "frames")
    if results.skipped:
        yield "\n## Left out\n"
        yield from (f"- {what}: {_line(why)}" for what, why in results.skipped.items())


def _facts(circumstances: Circumstances, results: Results) -> Iterator[str]:
    rows = [[key, value] for key, value in circumstances.facts.items()]
    before, after = circumstances.before, circumstances.after
    drift = 100 * (after.speed / before.speed - 1)
    rows.append(
        ["least share of a core, before and after", f"{before.share:.3f}, {after.share:.3f}"]
    )
    rows.append(["a fixed loop's speed, after against before", f"{drift:+.1f} %"])
    if not math.isnan(results.limit):
        rows.append(["one stream at memory bandwidth", f"{results.limit:.1f} tokens/s"])
    yield from table(["", ""], rows)


def _bar_row(bar: Bar, results: Results) -> list[str]:
    value = bar.value(results)
    number = "–" if math.isnan(value) else _number(value) + bar.unit.replace("×", " ×")
    relation = "≤" if bar.at_most else "≥"
    limit = f"{relation} {_number(bar.limit)}{bar.unit.replace('×', ' ×')}"
    return [bar.title, number, limit, bar.verdict(results)]


def _scenario(results: Results, name: str) -> Iterator[str]:
    runs = results.runs[name]
    keys = list(next(iter(runs.values()))[0])
    rates = [key for key in keys if key in _RATES]
    head = ["", *(_COLUMNS.get(key, key.replace("_", " ")) for key in keys)]
    rows = []
    for contender in runs:
        cells = [_cell(key, results.median(name, contender, key)) for key in keys]
        against = [_ratio(results, name, contender, key) for key in rates[:1]]
        rows.append([contender, *cells, *against, str(len(runs[contender]))])
    yield from table([*head, *[f"{OURS} is"] * bool(rates), "runs"], rows)


def _ratio(results: Results, name: str, contender: str, key: str) -> str:
    ratio = results.ratio(name, OURS, contender, key)
    return "" if contender == OURS or math.isnan(ratio) else f"{ratio:.2f} ×"


def _cell(key: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    if key in _RATES or "over" in key:
        return _number(value)
    return f"{1000 * value:,.0f} ms" if value >= 0.1 else f"{1000 * value:.1f} ms"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _clean(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
