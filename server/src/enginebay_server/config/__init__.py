"""The config: what it may say, where it comes from, and its JSON Schema."""

from enginebay_server.config.bounds import Bounds, PerKey
from enginebay_server.config.check import check_models
from enginebay_server.config.schema import config_schema
from enginebay_server.config.settings import ServerSettings, Settings
from enginebay_server.config.sources import DEFAULT_FILE, load_settings, unread_variables

__all__ = [
    "DEFAULT_FILE",
    "Bounds",
    "PerKey",
    "ServerSettings",
    "Settings",
    "check_models",
    "config_schema",
    "load_settings",
    "unread_variables",
]
