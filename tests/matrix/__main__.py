"""``python -m tests.matrix``: prove what every backend claims, and write ``docs/matrix.md``.

With ``--check`` the page is compared, not written. The exit code is 0 when every claim is proved
(and the page is what it was).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.matrix import checkpoints
from tests.matrix.cases import BACKENDS, all_cases
from tests.matrix.kit import Outcome, run_kit
from tests.matrix.page import PAGE, render
from tests.matrix.serving import holds, refusals, refused_by_all, served, server_rows
from tests.matrix.table import Cell, Row, engine_rows
from tests.matrix.vectors import EMBEDDERS, run_embedders
from tests.matrix.wire import Wire


class Findings:
    """What was found so far; ``faults`` are told as they come."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, text: str) -> None:
        self.faults.append(text)
        tell(f"FAILED {text}")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    arguments.add_argument("--check", action="store_true", help="compare the page, write nothing")
    asked = arguments.parse_args()
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="enginebay-matrix-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))  # exports go there
        page = make_page(Path(folder), findings)
    if not asked.check:
        PAGE.write_text(page, encoding="utf-8")
        tell(f"wrote {PAGE}")
    elif not same(page, PAGE.read_text(encoding="utf-8")):
        findings.fault("docs/matrix.md is not what was found; `make matrix` writes it anew")
    tell(f"{len(findings.faults)} faults" if findings.faults else "every claim is proved")
    return 1 if findings.faults else 0


def make_page(work: Path, findings: Findings) -> str:
    models = {name: checkpoints.make(name, work) for name in checkpoints.ARCHITECTURES}
    outcomes = run_kit(all_cases(), models, work, tell)
    for outcome in outcomes:
        if not outcome.passed:
            findings.fault(f"{outcome.case.name}:\n{outcome.said}")
    tell("asking a server with all backends")
    with served(BACKENDS) as wires:
        rows = server_rows(wires, findings.fault)
        refused = refusals(wires, findings.fault)
        holds(partial(refused_by_all, wires["toy"]), "refused by all", findings.fault)
        vectors = vector_row(wires, work, findings)
    ran = {(one.case.backend, one.case.model): one.passed for one in outcomes}
    return render(engine_rows(outcomes, refused), rows, vectors, reasons(outcomes), ran)


def vector_row(wires: Mapping[str, Wire], work: Path, findings: Findings) -> Row:
    tell("running the embedders' contracts")
    wrong = run_embedders(work)
    for name, why in wrong.items():
        if why:
            findings.fault(f"vectors of {name}: {why}")
    cells = []
    for name, wire in wires.items():
        if name in EMBEDDERS:
            cells.append(Cell("native", "failed" if wrong[name] else "proved"))
        else:
            proved = holds(partial(no_vectors, wire), f"vectors of {name}", findings.fault)
            cells.append(Cell("refused", "proved" if proved else "failed"))
    return Row("/v1/embeddings", "input", tuple(cells))


def no_vectors(wire: Wire) -> None:
    answer = wire.server.post({"model": wire.model, "input": "x"}, "/embeddings")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == "model", answer.text


def reasons(outcomes: Sequence[Outcome]) -> dict[str, dict[str, str]]:
    """Of the fields that engines refuse."""
    found: dict[str, dict[str, str]] = {}
    for one in outcomes:
        for name, field in one.fields.items():
            if field["claimed"] == "refused":
                found.setdefault(one.case.backend, {})[name] = field["detail"]
    return found


def same(page: str, known: str) -> bool:
    changes = list(
        difflib.unified_diff(known.splitlines(), page.splitlines(), "committed", "found")
    )
    for change in changes:
        tell(change)
    return not changes


def tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
