"""ONNX Runtime: graphs exported once and proved, no torch at run time."""

from enginebay_onnx.backend import OnnxBackend
from enginebay_onnx.exporter import OnnxExporter
from enginebay_onnx.options import OnnxOptions

__all__ = ["OnnxBackend", "OnnxExporter", "OnnxOptions"]
