"""``python -m tests.benchmarks``: everything, or ``--quick`` in under ten minutes."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.benchmarks.bars import cpu_bars
from tests.benchmarks.checkpoint import SHAPES, SMALL, Shape
from tests.benchmarks.environments import make_environment
from tests.benchmarks.figures import Results
from tests.benchmarks.http_stack import measure_frames
from tests.benchmarks.line_up import Line, open_line, versions
from tests.benchmarks.machine import Busy, calibrate, core_count, processor, require_quiet
from tests.benchmarks.measure import Measurement
from tests.benchmarks.report import Circumstances, draw_plots, write_report
from tests.benchmarks.scenarios import Scenario, full_scenarios, quick_scenarios

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / ".bench"
DOCS: Final = ROOT / "docs" / "benchmarks"


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        before = require_quiet(arguments.wait)
    except Busy as busy:
        print(f"not measuring, this machine is busy: {busy}", file=sys.stderr)
        return 3
    shape = SHAPES[arguments.shape]
    scenarios = choose(arguments.quick, arguments.only)
    results = Results()
    with ExitStack() as stack:
        line = open_line(stack, shape, WORK, results, quick=arguments.quick)
        results.limit = line.limit()
        measurement = Measurement(line.contenders, shape.vocab_size, results)
        for scenario in scenarios:
            measurement.run(scenario)
    if not arguments.only or "frames".startswith(arguments.only):
        measure_frames(WORK / "logs", results)
    facts = describe(shape, line, arguments.quick)
    circumstances = Circumstances(facts, before, calibrate())
    out = arguments.out or (WORK / "quick" if arguments.quick else DOCS)
    data = write_report(out, results, scenarios, cpu_bars(), circumstances)
    draw_plots(data, make_environment("plots", WORK / "environments"))
    print(f"written to {out}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tokens, runs and scenarios")
    parser.add_argument("--only", default="", metavar="NAME", help="scenarios that begin so")
    parser.add_argument("--out", type=Path, help="where the report goes")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="how long to wait for quiet"
    )
    parser.add_argument("--shape", choices=list(SHAPES), default=SMALL.name, help="of the model")
    return parser.parse_args()


def choose(quick: bool, only: str) -> list[Scenario]:
    every = quick_scenarios() if quick else full_scenarios()
    return [scenario for scenario in every if scenario.name.startswith(only)]


def describe(shape: Shape, line: Line, quick: bool) -> dict[str, str]:
    return {
        "model": f"random weights in the shape of {shape.name}, bfloat16, no stop token",
        "machine": f"{processor()}, {core_count()} cores",
        "threads of the bare loop": str(line.threads),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "kind of run": "quick" if quick else "full",
    }


if __name__ == "__main__":
    sys.exit(main())
