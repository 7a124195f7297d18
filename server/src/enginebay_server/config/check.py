"""What can be known to be wrong with a config before anything loads."""

from __future__ import annotations

import logging

from enginebay_core.api import PluginBroken
from enginebay_core.config import parse_options
from enginebay_core.plugins import load_backend
from enginebay_server.config.settings import Settings
from enginebay_server.parsers import check_parsers

log = logging.getLogger(__name__)


def check_models(settings: Settings) -> None:
    """Raises ConfigError for an option that a backend does not know, or a parser that there is
    not; PluginNotFound or PluginConflict for a backend that nobody, or two, offer.

    A backend that is installed and broken costs its own models only, so it is no error here:
    loading them will fail, with the reason.
    """
    for name, config in settings.models.items():
        check_parsers(name, config)
        try:
            backend = load_backend(config.backend)
        except PluginBroken as error:
            log.warning("models.%s cannot load: %s", name, error)
            continue
        parse_options(backend, config.options, f"models.{name}.options")
