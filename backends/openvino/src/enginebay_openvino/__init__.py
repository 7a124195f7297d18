"""OpenVINO GenAI's continuous batching, over graphs that were exported once and proved."""

from enginebay_openvino.backend import OpenVinoBackend
from enginebay_openvino.exporter import OpenVinoExporter
from enginebay_openvino.options import OpenVinoOptions

__all__ = ["OpenVinoBackend", "OpenVinoExporter", "OpenVinoOptions"]
