"""The contract kit: what EngineBay expects of a backend, as tests that anyone can run.

    class TestMine(BackendContract):
        backend = "mine"

or ``python -m enginebay_core.testing mine``. ``docs/contract-kit.md`` explains every check.
"""

try:
    import pytest  # noqa: F401  # said here in clear words, before the modules that use it
except ImportError as error:
    raise ImportError(
        "the contract kit runs on pytest: pip install 'enginebay-core[testing]'"
    ) from error

from enginebay_core.testing.contract import BackendContract
from enginebay_core.testing.embedders import EmbedderContract
from enginebay_core.testing.marks import deviates
from enginebay_core.testing.run import run_contract

__all__ = ["BackendContract", "EmbedderContract", "deviates", "run_contract"]
