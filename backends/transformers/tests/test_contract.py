"""The contract that every backend keeps, on the bundled model."""

from __future__ import annotations

from enginebay_core.testing import BackendContract


class TestTransformers(BackendContract):
    backend = "transformers"
    options = {"device": "cpu"}
