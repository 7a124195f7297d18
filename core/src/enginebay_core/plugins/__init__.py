"""Finds and loads what other distributions offer: backends, tokenizers, models, exporters
and environments.

The protocol version is part of the group's name, so it is known before any code runs.
"""

from enginebay_core.plugins.models import require_model_name, resolve_model
from enginebay_core.plugins.probe import probe_plugin
from enginebay_core.plugins.registry import (
    BACKENDS,
    ENVIRONMENTS,
    EXPORTERS,
    GROUPS,
    MODELS,
    TOKENIZERS,
    PluginInfo,
    find_plugin,
    list_plugins,
    load_backend,
    load_plugin,
    load_tokenizer,
)
from enginebay_core.plugins.versions import backend_versions, distribution_versions

__all__ = [
    "BACKENDS",
    "ENVIRONMENTS",
    "EXPORTERS",
    "GROUPS",
    "MODELS",
    "TOKENIZERS",
    "PluginInfo",
    "backend_versions",
    "distribution_versions",
    "find_plugin",
    "list_plugins",
    "load_backend",
    "load_plugin",
    "load_tokenizer",
    "probe_plugin",
    "require_model_name",
    "resolve_model",
]
