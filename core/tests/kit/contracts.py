"""Contract classes over what is not installed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from enginebay_core.api import (
    Backend,
    Capabilities,
    EngineOptions,
    Generator,
    Progress,
    StepEngine,
    Tokenizer,
    step_capabilities,
)
from enginebay_core.testing import BackendContract
from enginebay_core.testing.session import CheckResult, run_checks
from enginebay_core.text import ByteTokenizer


class BrokenBackend:
    tokenizer = "bytes"

    def __init__(
        self,
        make: Callable[[], Generator | StepEngine],
        claims: Capabilities | None = None,
        options: type[EngineOptions] = EngineOptions,
    ) -> None:
        self.options = options
        self._make = make
        self._claims = claims or step_capabilities()

    def load(
        self, model: Path, options: EngineOptions, progress: Progress
    ) -> Generator | StepEngine:
        return self._make()

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return self._claims


def contract_of(
    backend: Backend[Any], tokenizer: Tokenizer | None = None, timeout: float = 20.0
) -> type[BackendContract]:
    class Contract(BackendContract):
        @classmethod
        def make_backend(cls) -> Backend[Any]:
            return backend

        @classmethod
        def make_tokenizer(cls, name: str, model: Path) -> Tokenizer:
            return tokenizer or ByteTokenizer()

    Contract.backend, Contract.model, Contract.timeout = "broken", "toy", timeout
    return Contract


def run_one(contract: type[BackendContract], check: str) -> CheckResult:
    (result,) = run_checks(contract, {check})
    return result


def not_caught(contract: type[BackendContract], checks: Collection[str]) -> list[CheckResult]:
    """Of the checks that are meant for the contract's fault, those that did not fail. Their names
    come without ``test_``.
    """
    results = run_checks(contract, {f"test_{check}" for check in checks})
    assert len(results) == len(checks)
    return [result for result in results if result.status != "failed"]
