"""The class that an engine author subclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from enginebay_core.api import Backend, EngineBayError, JsonValue, Support, Tokenizer
from enginebay_core.placement import Placement
from enginebay_core.plugins import load_backend, load_tokenizer
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.checks import Checks
from enginebay_core.testing.marks import fields_needed, reason_of
from enginebay_core.testing.subject import Plan, default_model


class BackendContract(Checks):
    """Everything that EngineBay expects of a backend, as pytest tests. Three lines run them::

        class TestMine(BackendContract):
            backend = "mine"
            options = {"device": "cpu"}

    The model is loaded once per class. ``model`` None means: the installed model of the
    backend's own name, else ``pocket``. ``tokenizer`` None means the backend's choice.
    ``timeout`` is in seconds, for what one check waits at a time.

    ``placement`` is where it runs, as in a config; ``process`` leaves out what drives the engine
    directly, which ``inline`` does.

    ``make_backend`` and ``make_tokenizer`` may be overridden, to test what is not installed. A
    check may be replaced only under ``@deviates(reason)``; otherwise the class is refused.
    """

    __test__ = False
    backend: ClassVar[str]
    model: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, JsonValue]] = {}
    tokenizer: ClassVar[str | None] = None
    placement: ClassVar[Placement] = "inline"
    timeout: ClassVar[float] = 120.0

    _bench: ClassVar[Bench | None] = None
    _failure: ClassVar[EngineBayError | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = vars(cls).get("__test__", True)
        cls._bench = cls._failure = None
        refuse_silent_overrides(cls)

    @classmethod
    def make_backend(cls) -> Backend[Any]:
        return load_backend(cls.backend)

    @classmethod
    def make_tokenizer(cls, name: str, model: Path) -> Tokenizer:
        """``name`` is the backend's choice; ``model`` the checkpoint's directory."""
        return load_tokenizer(cls.tokenizer or name, model)

    @classmethod
    def open_bench(cls) -> Bench:
        """Load once; a load that failed fails every check with the same words."""
        if cls._failure is not None:  # a copy: one exception raised again and again grows
            raise type(cls._failure)(str(cls._failure))
        if cls._bench is not None and cls._bench.spent:
            cls._bench.close()
        if cls._bench is None or cls._bench.closed:
            try:
                cls._bench = Bench(cls._plan(), timeout=cls.timeout)
            except EngineBayError as error:
                cls._failure = error
                raise
        return cls._bench

    @classmethod
    def _model(cls) -> str:
        if cls.model is not None:
            return cls.model
        cls.make_backend()  # a misspelled backend is told of before a missing model
        return default_model(cls.backend)

    @classmethod
    def _plan(cls) -> Plan:
        return Plan(
            backend=cls.backend,
            model=cls._model(),
            options=cls.options,
            make_backend=cls.make_backend,
            make_tokenizer=cls.make_tokenizer,
            tokenizer=cls.tokenizer,
            placement=cls.placement,
        )

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        """The loaded backend, idle. Skips the check where the backend refuses what it needs."""
        bench = self.open_bench()
        skip_what_is_refused(bench, request.function)
        yield bench
        if not bench.closed:
            bench.rest()

    @classmethod
    def teardown_class(cls) -> None:
        if cls._bench is not None:
            cls._bench.close()
            cls._bench = None


CHECKS: Final = tuple(name for name in dir(BackendContract) if name.startswith("test_"))
"""The names of all checks."""


def skip_what_is_refused(bench: Bench, check: Any) -> None:
    capabilities = bench.subject.capabilities
    for field in fields_needed(check):
        capability = capabilities.of(field)
        if capability.support is Support.REFUSED:
            bench.skip(
                f"refused: {field}" + (f" ({capability.reason})" if capability.reason else "")
            )
    if getattr(check, "step_engines", False):
        _ = bench.engine


def refuse_silent_overrides(contract: type[BackendContract]) -> None:
    """Whoever weakens a check says why, where the next reader sees it."""
    for name, member in vars(contract).items():
        if hasattr(Checks, name) and name.startswith("test_") and not reason_of(member):
            raise TypeError(
                f"{contract.__name__} replaces the contract check {name!r} without a reason: "
                f"remove {name!r}, or decorate it with "
                '@enginebay_core.testing.deviates("why this engine cannot keep it")'
            )
