"""One run of the harness: chosen scenarios measured, added to what earlier runs found."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import frames
from tests.benchmarks.checkpoint import Shape, have_checkpoint, weight_bytes
from tests.benchmarks.line_up import LineUp, Workshop, starts
from tests.benchmarks.machine import core_count, core_share, processor, too_little
from tests.benchmarks.measure import Measurement
from tests.benchmarks.processes import Child
from tests.benchmarks.results import Conditions, Measured, Results, load_results, save_results
from tests.benchmarks.scenarios import Scenario

ROOT: Final = Path(__file__).parents[2]
_NAMED: Final = ("torch", "transformers", "openvino-genai", "onnxruntime", "uvicorn", "fastapi")
"""Whose versions are told; some need not be there."""
_BANDWIDTH: Final = Path(__file__).with_name("bandwidth.py")


@dataclass(frozen=True)
class Session:
    """``busy`` says what else runs here, where it measures nevertheless. Everything it makes lies
    in ``work``, and results in ``out``.
    """

    shape: Shape
    device: str
    quick: bool
    here: bool
    busy: str
    work: Path
    out: Path

    def measure(
        self, scenarios: Sequence[Scenario], peers: frozenset[str], *, with_frames: bool
    ) -> Results:
        """Kept after each scenario, so that one that is cut off costs no other."""
        model = have_checkpoint(self.shape, self.work / "models", self.device)
        memory = self._memory()
        results = load_results(self.out, self._setting(memory["device"]))
        results.limit = memory["bytes_per_second"] / weight_bytes(model)
        shop = Workshop(model, self.device, self.work, self.here, self.quick)
        with LineUp(starts(shop)) as line_up:
            for number, scenario in enumerate(scenarios):
                wanted = peers & set(scenario.contenders)
                ready = line_up.gather(wanted)
                gone = {name: line_up.missing[name] for name in wanted if name in line_up.missing}
                work = partial(Measurement(ready, self.shape.vocab_size).run, scenario)
                self._record(results, scenario.name, scenario.title, work, gone)
                line_up.keep({name for one in scenarios[number + 1 :] for name in one.contenders})
        if with_frames:
            work = partial(frames.measure_frames, self.work / "logs")
            self._record(results, frames.NAME, frames.TITLE, work, {})
        return results

    def _record(
        self,
        results: Results,
        name: str,
        title: str,
        work: Callable[[Measured], None],
        missing: dict[str, str],
    ) -> None:
        """All contenders hold still while the cores are looked at, before and after."""
        print(f"{name}: {title}", flush=True)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        before = Conditions(now, _commit(), core_share(), self.busy)
        measured = Measured(title, before, missing=missing)
        work(measured)
        share = min(before.share, core_share())
        busy = self.busy or too_little(share)
        measured.conditions = replace(before, share=share, busy=busy)
        results.scenarios[name] = measured
        save_results(results, self.out)

    def _memory(self) -> dict[str, Any]:
        """What the device is called, and how fast its memory is read."""
        command: list[str | Path] = [sys.executable, _BANDWIDTH, self.device]
        with Child(command, self.work / "logs" / "bandwidth.log", pipes=True) as child:
            found: dict[str, Any] = json.loads(child.hear())
        return found

    def _setting(self, device: str) -> dict[str, str]:
        installed = [f"{one.name} {one.version}" for one in _installed(_NAMED)]
        return {
            "model": f"random weights in the shape of {self.shape.name}, bfloat16, no stop token",
            "machine": f"{processor()}, {core_count()} cores",
            "device": device,
            "versions": ", ".join(installed),
            "kind of run": "quick" if self.quick else "full",
        }


def _installed(names: Sequence[str]) -> Iterator[importlib.metadata.Distribution]:
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield importlib.metadata.distribution(name)


def _commit() -> str:
    """Of this checkout, with a mark when files differ from it; empty where there is no git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
