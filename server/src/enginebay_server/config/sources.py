"""Command line over environment over file."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from enginebay_core.api import ConfigError
from enginebay_core.config import parse
from enginebay_core.plugins.suggest import suggest
from enginebay_server.config.check import check_models
from enginebay_server.config.settings import ServerSettings, Settings

PREFIX: Final = "ENGINEBAY_"
DEFAULT_FILE: Final = Path("enginebay.toml")
_KUBERNETES: Final = re.compile(r"ENGINEBAY_(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)")
"""What Kubernetes sets in every pod beside a service that is named ``enginebay``."""

log = logging.getLogger(__name__)


class _Environment(BaseSettings):
    """The shape that pydantic-settings reads ``ENGINEBAY_SERVER__PORT`` by; never made."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")

    server: dict[str, Any] = {}
    models: dict[str, dict[str, Any]] = {}


def load_settings(file: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """``overrides`` (nested like the file) over the environment over ``file``.

    ``file`` None reads ``./enginebay.toml`` if there is one. Raises ConfigError, in words for the
    operator, for everything that is unknown, misspelled or out of range, down to the options that
    only the backend knows. Loads no model.
    """
    for complaint in unread_variables(os.environ):
        log.warning("%s", complaint)
    merged = merge(merge(read_file(file), read_environment()), overrides)
    settings = parse(Settings, merged, "")
    check_models(settings)
    return settings


def read_file(file: Path | None) -> dict[str, Any]:
    """The TOML file, or nothing when ``file`` is None and there is no default one."""
    if file is None and not DEFAULT_FILE.is_file():
        return {}
    path = file or DEFAULT_FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def read_environment() -> dict[str, Any]:
    """All ``ENGINEBAY_SECTION__KEY`` variables. Raises ConfigError for a misspelled section."""
    sections = list(Settings.model_fields)
    for name in sorted(os.environ):
        section, nested, _ = name.upper().removeprefix(PREFIX).partition("__")
        if name.upper().startswith(PREFIX) and nested and section.lower() not in sections:
            near = suggest(section.lower(), sections) or sections[0]
            meant = name.upper().replace(section, near.upper(), 1)
            raise ConfigError(
                f"environment variable {name}: unknown section; did you mean {meant}?"
            )
    try:
        return EnvSettingsSource(_Environment)()
    except SettingsError as error:
        raise ConfigError(f"an {PREFIX}* environment variable cannot be read: {error}") from None


def unread_variables(environ: Mapping[str, str]) -> list[str]:
    """One sentence for each flat variable that someone may take for a setting of ours."""
    return [
        f"environment variable {name} is not read; {_instead(name)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and "__" not in name and not _is_kubernetes(name, environ[name])
    ]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` wins, table by table and key by key."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both and below is not None else value
    return merged


def _instead(name: str) -> str:
    key = name.removeprefix(PREFIX).lower()
    known = suggest(key, ServerSettings.model_fields)
    return f"use {PREFIX}SERVER__{known.upper()}" if known else "it is no setting of EngineBay's"


def _is_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.fullmatch(name)) or value.startswith(("tcp://", "udp://"))
