"""Who may ask: keys, kept as digests, compared in constant time, read again when their file
changes.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import time
from pathlib import Path
from typing import Final

from starlette.requests import Request

from enginebay_core.api import ConfigError
from enginebay_server.config import ServerSettings
from enginebay_server.visit import Visit

LOOK_SECONDS: Final = 1.0
"""How often, at most, the file is looked at."""

_DIGEST: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")

log = logging.getLogger(__name__)


class KeyRing:
    """``needed`` is settled at the start: a file that loses its last key locks everyone out."""

    def __init__(self, settings: ServerSettings) -> None:
        """Raises ConfigError when a key is needed and there is none, or the file cannot be read."""
        self._file = settings.api_keys_file
        secret = settings.api_key
        self._own = () if secret is None else (_digest(secret.get_secret_value().strip().encode()),)
        self._version = _version(self._file)
        self._digests = (*self._own, *_read(self._file))
        self._looked = time.monotonic()
        self.needed = bool(self._digests)
        if self._file is not None and len(self._digests) == len(self._own):
            raise ConfigError(f"server.api_keys_file {str(self._file)!r} holds no key")
        if not self.needed and settings.auth == "key" and not settings.on_loopback:
            raise ConfigError(
                f"server.host {settings.host!r} can be reached from other machines, and no key is "
                "set: set ENGINEBAY_SERVER__API_KEY, or server.auth = 'none' to let everyone in"
            )

    def owner(self, key: bytes) -> str | None:
        """The tenant of the key that a client sent; None when it is none of ours."""
        self._look()
        sent = _digest(key)
        matches = [hmac.compare_digest(sent, known) for known in self._digests]  # all of them
        return sent.hex() if any(matches) else None

    def reload(self) -> None:
        """Read the file now. One that cannot be read changes nothing, and is told in the log."""
        try:
            version = _version(self._file)
            self._digests = (*self._own, *_read(self._file))
        except ConfigError as error:
            log.error("%s; the keys stay as they were", error)
            return
        self._version = version
        log.info("read the keys again: there are %d", len(self._digests))

    def _look(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if _version(self._file) != self._version:
            self.reload()


def tenant_of(request: Request) -> str:
    """Whose request it is: one tenant per key, and "" where no key is needed."""
    return Visit.of(request).tenant


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _version(file: Path | None) -> tuple[int, int, int] | None:
    """Differs once the file was written or replaced; None where it is not there."""
    if file is None:
        return None
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(file: Path | None) -> list[bytes]:
    if file is None:
        return []
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"server.api_keys_file {str(file)!r} cannot be read: {error}") from None
    return [_of_line(line) for line in lines if line and not line.startswith("#")]


def _of_line(line: str) -> bytes:
    hashed = _DIGEST.fullmatch(line)
    return bytes.fromhex(hashed[1]) if hashed else _digest(line.encode())
