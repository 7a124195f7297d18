"""Draw ``results.json``: ``plots.py FILE``. Runs in an environment of its own, with matplotlib."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # see above

mpl.use("Agg")
from matplotlib import pyplot as plt  # type: ignore[import-not-found, unused-ignore]

COLOURS = {
    "EngineBay": "#d1495b",
    "transformers serve, continuous batching": "#2e6f95",
    "transformers serve": "#8ab6d6",
    "llama-cpp-python server": "#7a8b3c",
    "bare forward loop": "#555555",
}
OTHER = "#b0a8b9"

Runs = dict[str, dict[str, list[dict[str, float]]]]
"""Figures of each repetition, by number of streams and contender."""


def main() -> None:
    file = Path(sys.argv[1])
    found = json.loads(file.read_text())
    kept = {
        int(name.removeprefix("short/")): measured["runs"]
        for name, measured in found["scenarios"].items()
        if name.startswith("short/")
    }
    short = {str(streams): kept[streams] for streams in sorted(kept)}
    if short:
        draw_rates(short, found["limit"], file.with_name("tokens-per-second.png"))
        draw_gaps(short, file.with_name("gaps.png"))


def draw_rates(short: Runs, limit: float | None, target: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    bars(axes, short, "tokens_per_second", 1)
    if limit:
        axes.axhline(limit, color="#999999", linewidth=1, linestyle="--")
        axes.annotate("one stream at memory bandwidth", (0, limit), va="bottom", fontsize=8)
    axes.set_ylabel("tokens per second, all streams")
    axes.set_title("Short prompts")
    figure.savefig(target)


def draw_gaps(short: Runs, target: Path) -> None:
    figure, both = plt.subplots(1, 2, figsize=(10, 4.5), dpi=120, layout="constrained")
    titles = {"gap_p50": "median", "gap_p99": "99th percentile"}
    for axes, (key, title) in zip(both, titles.items(), strict=True):
        bars(axes, short, key, 1000)
        axes.set_title(f"Wait between tokens, {title}")
        axes.set_ylabel("milliseconds")
    figure.savefig(target)


def bars(axes: Any, short: Runs, key: str, scale: float) -> None:
    """A group per number of streams, a bar per contender: the median, and all runs as dots."""
    everyone = list(dict.fromkeys(one for runs in short.values() for one in runs))
    width = 0.8 / max(1, len(everyone))
    for place, contender in enumerate(everyone):
        colour = COLOURS.get(contender, OTHER)
        label: str | None = contender
        for group, runs in enumerate(short.values()):
            values = [scale * run[key] for run in runs.get(contender, []) if key in run]
            if not values:
                continue
            x = group - 0.4 + width * (place + 0.5)
            axes.bar(x, statistics.median(values), width, color=colour, label=label)
            axes.scatter([x] * len(values), values, s=6, color="black", zorder=3)
            label = None
    axes.set_xticks(range(len(short)), list(short))
    axes.set_xlabel("streams at once")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
