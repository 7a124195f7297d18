"""The contract that every backend keeps, on the bundled model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from enginebay_core.api import JsonValue
from enginebay_core.placement import Placement
from enginebay_core.testing import BackendContract

pytest.importorskip(
    "openvino_genai", reason="OpenVINO GenAI is not installed: backends/openvino[runtime]"
)


class TestOpenVino(BackendContract):
    backend = "openvino"
    options: ClassVar[Mapping[str, JsonValue]] = {"threads": 1}


class TestOpenVinoInItsProcess(BackendContract):
    backend = "openvino"
    options: ClassVar[Mapping[str, JsonValue]] = {"threads": 1}
    placement: ClassVar[Placement] = "process"
