"""Finds and loads what other distributions offer: backends, tokenizers, models
and exporters.

The protocol version is part of the group's name, so it is known before any code runs.
"""

from enginebay_core.plugins.models import resolve_model
from enginebay_core.plugins.probe import probe_plugin
from enginebay_core.plugins.registry import (
    BACKENDS,
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

__all__ = [
    "BACKENDS",
    "EXPORTERS",
    "GROUPS",
    "MODELS",
    "TOKENIZERS",
    "PluginInfo",
    "find_plugin",
    "list_plugins",
    "load_backend",
    "load_plugin",
    "load_tokenizer",
    "probe_plugin",
    "resolve_model",
]
