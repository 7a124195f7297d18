"""By which names this server may be called. A web page can make its own name point at this
machine, and then talk to it from the reader's browser; it cannot choose the Host header.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

from enginebay_server.config import ServerSettings

_HOST: Final = re.compile(rb"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class HostNames:
    """Where a key is needed off this machine, any name will do: a foreign page has no key."""

    def __init__(self, settings: ServerSettings, *, keyed: bool) -> None:
        self._said = tuple(name.lower() for name in settings.allowed_hosts)
        free = keyed and not settings.on_loopback and not self._said
        self._any = free or "*" in self._said
        self._own = {settings.host.lower(), socket.gethostname().lower()}

    def allowed(self, values: Iterable[bytes]) -> bool:
        """``values`` are all Host headers of one request; none at all is HTTP/1.0's."""
        found = list(values)
        if not found:
            return True
        match = _HOST.fullmatch(found[0])
        if len(found) > 1 or match is None:
            return False
        return self._any or self._known(match[1].decode("ascii").lower().rstrip("."))

    def _known(self, name: str) -> bool:
        """An address, and a name without a dot, are nobody's on the internet."""
        if "." not in name or name in self._own or name.endswith(".localhost"):
            return True
        if _is_address(name):
            return True
        return any(_matches(name, said) for said in self._said)


def _matches(name: str, said: str) -> bool:
    return name == said or (said.startswith("*.") and name.endswith(said[1:]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
