"""``python -m tests.benchmarks``: measure, add it to earlier results, and write the report.

It exits with 3, and measures nothing, when the machine is busy.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Final

from tests.benchmarks import frames
from tests.benchmarks.bars import cpu_bars, cuda_bars
from tests.benchmarks.checkpoint import LARGE, SHAPES, SMALL
from tests.benchmarks.environments import NoEnvironment, make_environment
from tests.benchmarks.machine import Busy, require_quiet
from tests.benchmarks.names import KEYS
from tests.benchmarks.report import draw_plots, write_page
from tests.benchmarks.results import Results
from tests.benchmarks.scenarios import Scenario, cpu_scenarios, cuda_scenarios, quick_scenarios
from tests.benchmarks.session import ROOT, Session

WORK: Final = ROOT / ".bench"
DOCS: Final = ROOT / "docs" / "benchmarks"


def main() -> int:
    arguments = parse()
    scenarios = choose(arguments)
    if arguments.list:
        print("\n".join(f"{one.name:24} {one.title}" for one in scenarios))
        print(f"{frames.NAME:24} {frames.TITLE}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        busy = look_around(arguments)
    except Busy as error:
        print(
            f"not measuring, this machine is busy: {error}. End what else runs, wait for it with "
            "--wait SECONDS, or measure nevertheless with --busy, which the report will say.",
            file=sys.stderr,
        )
        return 3
    session = open_session(arguments, busy)
    peers = frozenset(KEYS[key] for key in arguments.peers)
    results = session.measure(scenarios, peers, with_frames=wanted(frames.NAME, arguments))
    report(results, session, here=arguments.here)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer tokens, runs and scenarios")
    add(
        "--scenarios", type=words, default=[], metavar="NAME,…", help="these, or all of these kinds"
    )
    add("--peers", type=contenders, default=list(KEYS), metavar="NAME,…", help=", ".join(KEYS))
    add("--list", action="store_true", help="name the scenarios and measure nothing")
    add("--wait", type=float, default=0.0, metavar="SECONDS", help="at most so long for quiet")
    add("--busy", action="store_true", help="measure on a busy machine too; the report says so")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--shape", choices=list(SHAPES), help="of the model; by default what the device is for")
    add("--here", action="store_true", help="peers and plots run on this Python, which has them")
    add("--out", type=Path, help="where results lie and are added to")
    return parser.parse_args()


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def contenders(text: str) -> list[str]:
    unknown = [word for word in words(text) if word not in KEYS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no peer {unknown[0]!r}; known are {', '.join(KEYS)}")
    return words(text)


def choose(arguments: argparse.Namespace) -> list[Scenario]:
    """Raises SystemExit where a name fits none."""
    if arguments.device == "cuda":
        every = cuda_scenarios()
    else:
        every = quick_scenarios() if arguments.quick else cpu_scenarios()
    names = [*(one.name for one in every), frames.NAME]
    for asked in arguments.scenarios:
        if not any(fits(name, asked) for name in names):
            sys.exit(f"no scenario {asked!r}; there are {', '.join(names)}")
    return [one for one in every if wanted(one.name, arguments)]


def wanted(name: str, arguments: argparse.Namespace) -> bool:
    if not arguments.scenarios:
        return name != frames.NAME or arguments.device == "cpu"
    return any(fits(name, asked) for asked in arguments.scenarios)


def fits(name: str, asked: str) -> bool:
    """``short/16`` is asked for by its name, or with all of its kind as ``short``."""
    return asked in (name, name.partition("/")[0])


def look_around(arguments: argparse.Namespace) -> str:
    """What else runs here; raises Busy unless that was allowed."""
    try:
        require_quiet(arguments.wait)
    except Busy as error:
        if not arguments.busy:
            raise
        return str(error)
    return ""


def open_session(arguments: argparse.Namespace, busy: str) -> Session:
    """Only full runs on the model that the bars are about go to the documentation by themselves."""
    usual = SMALL if arguments.device == "cpu" else LARGE
    shape = SHAPES[arguments.shape] if arguments.shape else usual
    docs = DOCS if arguments.device == "cpu" else DOCS / arguments.device
    side = WORK / "-".join(["results", shape.name, *["quick"] * arguments.quick])
    out = arguments.out or (side if arguments.quick or shape != usual else docs)
    return Session(
        shape=shape,
        device=arguments.device,
        quick=arguments.quick,
        here=arguments.here,
        busy=busy,
        work=WORK,
        out=out,
    )


def report(results: Results, session: Session, *, here: bool) -> None:
    bars = cpu_bars() if session.device == "cpu" else cuda_bars()
    page = write_page(results, bars, session.out)
    try:
        python = Path(sys.executable) if here else make_environment("plots", WORK / "environments")
        draw_plots(session.out, python)
    except NoEnvironment as error:
        print(f"no plots: {error}", file=sys.stderr)
    print(f"written: {page}")


if __name__ == "__main__":
    sys.exit(main())
