"""The contract that every backend keeps, on the bundled model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from enginebay_core.api import JsonValue
from enginebay_core.testing import BackendContract

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: backends/onnx[cpu]")


class TestOnnx(BackendContract):
    backend = "onnx"
    options: ClassVar[Mapping[str, JsonValue]] = {"threads": 1}


@pytest.mark.environments  # the same code as above, with other products
class TestOnnxInt8(BackendContract):
    backend = "onnx"
    options: ClassVar[Mapping[str, JsonValue]] = {"threads": 1, "precision": "int8"}
