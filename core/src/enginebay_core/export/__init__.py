"""Export once: a checkpoint made into another runtime's files, proved against the checkpoint,
kept with a manifest. Backends that run exports call ``exported`` when they load.
"""

from enginebay_core.export.export import export_model, exported
from enginebay_core.export.exporter import Exporter, load_exporter
from enginebay_core.export.gate import GateClosed
from enginebay_core.export.manifest import Manifest, is_export, read_manifest
from enginebay_core.export.reference import Reference

__all__ = [
    "Exporter",
    "GateClosed",
    "Manifest",
    "Reference",
    "export_model",
    "exported",
    "is_export",
    "load_exporter",
    "read_manifest",
]
