"""What the doctor looks at."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from enginebay_core.api import ConfigError
from enginebay_core.plugins import PluginInfo
from enginebay_server.cli.accelerator import look_at_nvidia, look_at_torch
from enginebay_server.cli.check import Check
from enginebay_server.cli.config_check import check_config
from enginebay_server.cli.environments import check_environments
from enginebay_server.cli.layers import read_layers
from enginebay_server.cli.survey import Surveyed, installed_plugins, survey

OLDEST_PYTHON: Final = (3, 11)
LITTLE_DISK: Final = 5 * 1024**3
CORE: Final = "enginebay-core"
RELEASED_TOGETHER: Final = ("enginebay", CORE, "enginebay-server")
_REQUIREMENT: Final = re.compile(r"^([\w.-]+)[^;]*;.*extra\s*==\s*['\"]([\w-]+)['\"]")


def run_checks(config: Path | None) -> list[Check]:
    """Anything that may crash or hang runs in a child process."""
    plugins = installed_plugins()
    return [
        check_python(sys.version_info[:3]),
        Check("machine", "ok", f"{platform.platform()}, {os.cpu_count()} CPU cores"),
        Check("nvidia", "ok", look_at_nvidia()),
        Check("torch", "ok", look_at_torch()),
        check_versions(installed_versions()),
        *check_plugins(survey(plugins), plugins),
        *check_environments(),
        *check_extras(importlib.metadata.requires(CORE) or ()),
        *check_settings(config),
        check_port(config),
        check_cache(cache_directory(os.environ)),
    ]


def check_python(version: Sequence[int]) -> Check:
    found = ".".join(map(str, version))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if tuple(version[:2]) < OLDEST_PYTHON:
        return Check("python", "fail", found, f"use Python {oldest} or newer")
    return Check("python", "ok", f"{found} at {sys.executable}")


def installed_versions() -> dict[str, str]:
    """All distributions that bear EngineBay's name."""
    return {
        found.name: found.version
        for found in importlib.metadata.distributions()
        if found.name and found.name.partition("-")[0] == "enginebay"
    }


def check_versions(versions: Mapping[str, str]) -> Check:
    """Server and core must be of one release; a plugin has a version of its own."""
    found = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    if len({versions[name] for name in versions if name in RELEASED_TOGETHER}) > 1:
        return Check("versions", "fail", found, "install all of one version, from one checkout")
    return Check("versions", "ok", found)


def check_plugins(surveyed: Sequence[Surveyed], plugins: Sequence[PluginInfo]) -> Iterator[Check]:
    for one in surveyed:
        info = one.info
        whose = f"{info.distribution} {info.version}"
        name = f"{one.kind} {info.name}"
        if one.state == "ok":
            yield Check(name, "ok", f"loads, from {whose}")
        elif one.state == "conflict":
            yield Check(name, "fail", f"of {whose}: {one.reason}", "uninstall one of them")
        else:
            yield Check(
                name,
                "fail",
                f"of {whose}: {one.reason}",
                f"repair or uninstall {info.distribution}; only models that use it are affected",
            )


def check_extras(requirements: Sequence[str]) -> Iterator[Check]:
    """``hf`` is what nearly every model needs; the others are for those who want them."""
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        if match := _REQUIREMENT.match(requirement):
            extras.setdefault(match[2], []).append(match[1])
    for extra, names in extras.items():
        missing = [name for name in names if not _installed(name)]
        install = f'pip install "{CORE}[{extra}]"'
        if not missing:
            yield Check(f"extra {extra}", "ok", "installed")
        elif extra == "hf":
            found = f"{' and '.join(missing)} missing: no tokenizer.json can be read"
            yield Check(f"extra {extra}", "warn", found, install)
        else:
            yield Check(f"extra {extra}", "ok", f"not installed; {install} adds it")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def check_settings(config: Path | None) -> Iterator[Check]:
    checked = check_config(config, {})
    name = "config"
    for error in checked.errors:
        yield Check(name, "fail", error, "see `enginebay config show`")
    for warning in checked.warnings:
        yield Check(name, "warn", warning, "see `enginebay config check`")
    if not checked.errors:
        yield Check(name, "ok", f"{checked.file or 'the default one'} can be served")


def check_port(config: Path | None) -> Check:
    try:
        server = read_layers(config, {}).settings().server
    except ConfigError:
        return Check("port", "warn", "unknown, since the config is invalid", "repair the config")
    found = f"{server.host} port {server.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return Check(
            "port",
            "warn",
            f"{found}: {error.strerror or error}",
            "if no server of yours is running there, choose another: serve --port 0 takes a free "
            "one",
        )
    return Check("port", "ok", f"{found} is free")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps models, by its documented variables."""
    if "HF_HUB_CACHE" in environ:
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    cache = environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(environ.get("HF_HOME", f"{cache}/huggingface")).expanduser() / "hub"


def check_cache(directory: Path) -> Check:
    name = "model cache"
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Check(
            name, "warn", f"{directory} cannot be written", "set HF_HOME to a directory of yours"
        )
    free = shutil.disk_usage(existing).free
    found = f"{directory}, {free / 1024**3:.1f} GiB free"
    if free < LITTLE_DISK:
        return Check(
            name, "warn", found, "free some space before downloading models, or set HF_HOME"
        )
    return Check(name, "ok", found)
