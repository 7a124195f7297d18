"""Who may ask. Decided on the path the server routes by, before anything else runs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from enginebay_core.api import ConfigError
from enginebay_server.config import ServerSettings
from enginebay_server.errors import WireError
from enginebay_server.reply import json_response

_TENANT: Final = "tenant"
OPEN_PATHS: Final = frozenset({"/health", "/livez"})


def load_keys(settings: ServerSettings) -> frozenset[bytes]:
    """Digests of all keys; empty when none is needed. Raises ConfigError when one is needed and
    there is none, or the keys file cannot be read.
    """
    keys = [] if settings.api_key is None else [settings.api_key.get_secret_value().strip()]
    if settings.keys_file is not None:
        keys += _read_keys(settings.keys_file)
    if not keys and settings.auth == "key" and not settings.on_loopback:
        raise ConfigError(
            f"server.host {settings.host!r} can be reached from other machines, and no key is "
            "set: set ENGINEBAY_SERVER__API_KEY, or server.auth = 'none' to let everyone in"
        )
    return frozenset(_digest(key.encode()) for key in keys)


class RequireKey:
    """ASGI: every route but ``OPEN_PATHS`` answers 401 without one of the keys."""

    def __init__(self, app: ASGIApp, digests: Iterable[bytes]) -> None:
        self._app = app
        self._digests = tuple(digests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._known(scope) if scope["type"] == "http" else None
        if key is not None:
            scope.setdefault("state", {})[_TENANT] = key.hex()
        if key is not None or scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        error = WireError(
            401,
            "This server needs an API key: send it as 'Authorization: Bearer KEY'.",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await json_response(error.body(), status=401, headers=dict(error.headers))(
            scope, receive, send
        )

    def _known(self, scope: Scope) -> bytes | None:
        """The digest of the key that was sent, if it is one of ours; all are compared."""
        sent = _digest(_bearer(scope))
        matches = [hmac.compare_digest(sent, known) for known in self._digests]
        return sent if any(matches) else None


def tenant_of(request: Request) -> str:
    """Whose request it is: one tenant per key, and "" where no key is needed."""
    tenant: str = getattr(request.state, _TENANT, "")
    return tenant


def _bearer(scope: Scope) -> bytes:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return b""
    scheme, _, key = values[0].partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _read_keys(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"server.keys_file {str(path)!r} cannot be read: {error}") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ConfigError(f"server.keys_file {str(path)!r} holds no key")
    return keys
