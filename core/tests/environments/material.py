"""What tests of environments share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Declare = Callable[..., Path]

TOML = """
backends = ["lone"]
requirements = ["enginebay-core", "eb_lone"]
imports = ["eb_lone"]
size = "nothing"
reason = "it is alone"
"""
