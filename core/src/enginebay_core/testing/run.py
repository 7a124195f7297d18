"""Runs the contract on one backend, without any test file, and reports."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from enginebay_core.api import EngineBayError, JsonValue
from enginebay_core.placement import Placement, process_is_installed
from enginebay_core.testing.contract import BackendContract
from enginebay_core.testing.progress import watch_checks
from enginebay_core.testing.report import build_report, join_reports, write_json, write_table
from enginebay_core.testing.session import run_checks

PROVED: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2


def run_contract(
    backend: str,
    model: str | None = None,
    options: Mapping[str, JsonValue] | None = None,
    report: Path | None = None,
    output: TextIO | None = None,
    *,
    placements: Sequence[Placement] | None = None,
) -> int:
    """Run all checks on an installed backend; blocks. Returns 0 when everything that it claims is
    proved, 1 when something failed, 2 when there was nothing to test (unknown backend, wrong
    options, a model that does not load), with one message in ``output`` (default: stdout).
    ``report`` is where the JSON goes. ``placements`` default to all that are installed.
    """
    attributes = {"backend": backend, "model": model, "options": dict(options or {})}
    contracts = [
        type("TestContract", (BackendContract,), {**attributes, "placement": placement})
        for placement in placements or installed_placements()
    ]
    return report_contracts(contracts, report, output)


def report_contract(
    contract: type[BackendContract], report: Path | None = None, output: TextIO | None = None
) -> int:
    """The same for a class of one's own, deviations included."""
    return report_contracts([contract], report, output)


def report_contracts(
    contracts: Sequence[type[BackendContract]], report: Path | None, output: TextIO | None
) -> int:
    """One report of one backend in several placements; how far it is goes to stderr."""
    output = output or sys.stdout
    outcomes = []
    for contract in contracts:
        try:
            bench = contract.open_bench()
        except EngineBayError as error:
            output.write(f"{contract.backend}: nothing was tested. {error}\n")
            return UNUSABLE
        watch = watch_checks(f"{contract.backend}, {contract.placement}", sys.stderr)
        outcomes.append(build_report(contract, bench, run_checks(contract, watch=watch)))
    outcome = join_reports(outcomes)
    write_table(outcome, output)
    if report is not None:
        write_json(outcome, report)
    return PROVED if outcome.passed else FAILED


def installed_placements() -> tuple[Placement, ...]:
    """``process`` needs the extra of that name."""
    return ("inline", "process") if process_is_installed() else ("inline",)
