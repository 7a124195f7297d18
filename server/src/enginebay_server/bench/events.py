"""Server-sent events out of bytes, as they come."""

from __future__ import annotations

import re
from typing import Final

_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")


class EventDecoder:
    """One per response. Lines end in LF or CR LF, as all OpenAI-like servers send them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The ``data`` of each event that is now complete; comments have none."""
        *events, self._rest = _EVENT_END.split(self._rest + data)
        return [found for event in events if (found := _data(event))]


def _data(event: bytes) -> bytes:
    lines = [line for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)
