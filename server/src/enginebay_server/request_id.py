"""The name of one request: the client's own where it sent a usable one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

HEADER: Final = b"x-request-id"

_USABLE: Final = re.compile(rb"[A-Za-z0-9._:/+=~@-]{1,128}")
"""It goes into headers, log lines and traces as it is."""


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """A new one where the client sent none, two, or one with other characters or too many."""
    sent = [value for name, value in headers if name == HEADER]
    if len(sent) == 1 and _USABLE.fullmatch(sent[0]):
        return sent[0].decode("ascii")
    return new_request_id()


def new_request_id() -> str:
    return f"req_{secrets.token_hex(16)}"
