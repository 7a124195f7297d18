"""One pytest run inside this process, cut off from whatever project it happens in."""

from __future__ import annotations

import os
import tempfile
import types
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from enginebay_core.testing.contract import BackendContract
from enginebay_core.testing.embedders import EmbedderContract
from enginebay_core.testing.progress import Watch

Status = Literal["passed", "failed", "skipped", "deviates"]

ISOLATED: Final = (
    "--noconftest",
    "--assert=plain",
    "--capture=sys",
    "-pno:cacheprovider",
    "-pno:terminal",
    "-pno:warnings",
    "-pno:faulthandler",
    "-pno:unraisableexception",
    "-pno:threadexception",
)
"""No files of the project, no cache on disk, and no output but our own."""

AUTOLOAD: Final = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """``message`` is why it failed, was skipped or deviates; empty when it passed."""

    name: str
    status: Status
    message: str
    seconds: float


def run_checks(
    contract: type[BackendContract | EmbedderContract],
    only: Collection[str] | None = None,
    watch: Watch = lambda done, total: None,
) -> list[CheckResult]:
    """Run the checks of a contract class, or those named; in the order in which they ran. Raises
    KeyboardInterrupt where Ctrl-C ended them.
    """
    plugin = _Collector(contract, only, watch)
    with tempfile.TemporaryDirectory() as empty, _environment(AUTOLOAD, "1"):
        ini = Path(empty) / "pytest.ini"
        ini.write_text("[pytest]\n")
        module = Path(empty) / "test_contract.py"
        module.write_text("")
        place = (f"-c{ini}", f"--rootdir={empty}", str(module))
        pytest.main([*ISOLATED, *place], plugins=[plugin])
    if plugin.interrupted:
        raise KeyboardInterrupt
    return list(plugin.results.values())


class _Collector:
    """Puts the class where pytest looks for tests, and takes down how they end."""

    def __init__(
        self,
        contract: type[BackendContract | EmbedderContract],
        only: Collection[str] | None,
        watch: Watch,
    ) -> None:
        self.results: dict[str, CheckResult] = {}
        self.interrupted = False
        self._total = 0
        self._watch = watch
        self._only = only
        self._module = types.ModuleType("test_contract")
        self._module.__dict__["TestContract"] = contract

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module:
        module: pytest.Module = pytest.Module.from_parent(parent, path=module_path)
        module.obj = self._module
        return module

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._only is not None:
            items[:] = [item for item in items if item.name in self._only]
        self._total = len(items)
        self._watch(0, self._total)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Pytest ends its run and returns; whoever started the checks wants to end as well."""
        self.interrupted |= excinfo.errisinstance(KeyboardInterrupt)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rsplit("::", 1)[-1]
        known = self.results.get(name)
        tells = report.when == "call" or report.outcome != "passed"
        if tells and (known is None or known.status == "passed" or report.failed):
            self.results[name] = _result(name, report)
        if report.when == "teardown":
            self._watch(len(self.results), self._total)


def _result(name: str, report: pytest.TestReport) -> CheckResult:
    status: Status = report.outcome
    message = ""
    if report.failed:
        message = _crash(report)
    elif hasattr(report, "wasxfail"):
        status, message = "deviates", report.wasxfail.removeprefix("reason: ")
    elif report.skipped and isinstance(report.longrepr, tuple):
        message = report.longrepr[2].removeprefix("Skipped: ")
    return CheckResult(name, status, message, report.duration)


def _crash(report: pytest.TestReport) -> str:
    """The assertion's own words, without pytest's frame around them."""
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return str(text).removeprefix("AssertionError: ").strip()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
