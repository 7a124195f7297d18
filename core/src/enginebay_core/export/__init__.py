"""Export once: a checkpoint made into another runtime's files, proved against the checkpoint,
kept with a manifest. Backends that run exports call ``exported`` when they load; exporters that
build graphs themselves read the checkpoint by ``Tensors`` and ``read_decoder``; engines that keep
to grammars by themselves learn by ``spell_tokens`` what the ids spell.
"""

from enginebay_core.export.checkpoint import Array, Tensors, read_json
from enginebay_core.export.decoder import Decoder, NotBuilt, read_decoder
from enginebay_core.export.export import export_model, exported
from enginebay_core.export.exporter import Exporter, load_exporter
from enginebay_core.export.gate import GateClosed
from enginebay_core.export.manifest import Manifest, is_export, read_manifest
from enginebay_core.export.reference import Reference
from enginebay_core.export.rope import rope_tables
from enginebay_core.export.spelling import spell_tokens
from enginebay_core.grammar import Vocabulary

__all__ = [
    "Array",
    "Decoder",
    "Exporter",
    "GateClosed",
    "Manifest",
    "NotBuilt",
    "Reference",
    "Tensors",
    "Vocabulary",
    "export_model",
    "exported",
    "is_export",
    "load_exporter",
    "read_decoder",
    "read_json",
    "read_manifest",
    "rope_tables",
    "spell_tokens",
]
