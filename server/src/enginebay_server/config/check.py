"""Asks each configured backend whether it accepts its options, before anything loads."""

from __future__ import annotations

import logging

from enginebay_core.api import PluginBroken
from enginebay_core.config import parse_options
from enginebay_core.plugins import load_backend
from enginebay_server.config.settings import Settings

log = logging.getLogger(__name__)


def check_backends(settings: Settings) -> None:
    """Raises ConfigError for an option that a backend does not know, PluginNotFound or
    PluginConflict for a backend that nobody, or two, offer.

    A backend that is installed and broken costs its own models only, so it is no error here:
    loading them will fail, with the reason.
    """
    for name, config in settings.models.items():
        try:
            backend = load_backend(config.backend)
        except PluginBroken as error:
            log.warning("models.%s cannot load: %s", name, error)
            continue
        parse_options(backend, config.options, f"models.{name}.options")
