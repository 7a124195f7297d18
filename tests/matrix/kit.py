"""Runs the contract kit as a stranger would, by its command, and reads what it reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.matrix.cases import OPTIONS, Case

ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """``fields`` are those of the kit's report, empty where nothing could be tested; ``said`` is
    what the kit printed.
    """

    case: Case
    passed: bool
    fields: dict[str, dict[str, Any]]
    said: str


def run_kit(
    cases: Sequence[Case], models: dict[str, Path], work: Path, tell: Tell
) -> list[Outcome]:
    """``models`` are the directories of the tiny ones. As many at once as there are cores, each on
    a thread of its own.
    """

    def run(case: Case) -> Outcome:
        outcome = _run_one(case, models.get(case.model), work)
        tell(f"{case.name}: {'proved' if outcome.passed else 'FAILED'}")
        return outcome

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as threads:
        return list(threads.map(run, cases))


def _run_one(case: Case, model: Path | None, work: Path) -> Outcome:
    report = work / f"{case.backend}-{case.model}.json"
    options = [f"--option={key}={json.dumps(v)}" for key, v in OPTIONS[case.backend].items()]
    command = [sys.executable, "-m", "enginebay_server", "plugins", "check", case.backend]
    command += ["--model", str(model or case.model), "--report", str(report), *options]
    quiet = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if not report.is_file():
        return Outcome(case, False, {}, done.stdout + done.stderr)
    fields = json.loads(report.read_text(encoding="utf-8"))["fields"]
    return Outcome(case, done.returncode == 0, fields, done.stdout)
