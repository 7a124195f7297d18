"""Optimum's ONNX Runtime models: declared here, run in an environment of their own."""

from enginebay_optimum.backend import OptimumBackend
from enginebay_optimum.exporter import OptimumExporter
from enginebay_optimum.options import OptimumOptions

__all__ = ["OptimumBackend", "OptimumExporter", "OptimumOptions"]
