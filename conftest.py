"""What holds for all tests: signals, and the order in which files begin."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """In a shell's background Ctrl-C is ignored, and what the tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: begun last, one of them would leave every other core idle."""
    marks = ("slow", "environments")
    slow = {item.path for item in items if any(map(item.get_closest_marker, marks))}
    items.sort(key=lambda item: item.path not in slow)
