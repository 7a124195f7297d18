"""The contract that every backend keeps, on the bundled model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from enginebay_core.api import JsonValue
from enginebay_core.testing import BackendContract


class TestTransformers(BackendContract):
    backend = "transformers"
    options: ClassVar[Mapping[str, JsonValue]] = {"device": "cpu"}
