"""The HTTP stack without a model: the toy engine, and a bare ASGI app beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.benchmarks.contender import alone
from tests.benchmarks.figures import Results
from tests.benchmarks.frames import STREAMS, frames_per_second, two_cores
from tests.benchmarks.peers import bare_asgi, enginebay_toy
from tests.benchmarks.peers.served import wait_open
from tests.benchmarks.scenarios import OURS

TOKENS: Final = 1800
REPETITIONS: Final = 5
ASGI: Final = "bare ASGI app"


def measure_frames(logs: Path, results: Results) -> None:
    """Both servers on one core, in turn, and the client on another."""
    cores = two_cores()
    if cores is None:
        results.skipped["frames"] = "server and client need a core each, and a system that pins"
        return
    server, client = cores
    print("frames: the HTTP stack on one core", flush=True)
    with (
        enginebay_toy(logs, STREAMS, [server]) as toy,
        bare_asgi(logs, [server]) as bare,
    ):
        for served in (toy, bare):
            wait_open(served)
            frames_per_second(served, 100, client, "warm")
        for repetition in range(REPETITIONS):
            for name, served in ((OURS, toy), (ASGI, bare)):
                with alone(served, [toy, bare]):
                    rate = frames_per_second(served, TOKENS, client, repetition)
                results.add("frames", name, {"frames_per_second": rate})
    for name in results.runs.get("frames", {}):
        median = results.median("frames", name, "frames_per_second")
        print(f"  {name}: {median:,.0f} frames/s", flush=True)
