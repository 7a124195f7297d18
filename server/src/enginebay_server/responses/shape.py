"""A response on the wire: as events of a stream, or whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from enginebay_core.api import Usage
from enginebay_server.choice import Delta
from enginebay_server.errors import WireError
from enginebay_server.frames import dumps
from enginebay_server.responses.body import ResponseBody
from enginebay_server.responses.items import Event
from enginebay_server.responses.output import Output


class ResponseShape:
    """The events of one response, numbered from 0. There is no ``[DONE]``: a stream ends with
    ``response.completed``, ``response.incomplete`` or ``response.failed``.
    """

    def __init__(self, body: ResponseBody) -> None:
        self._body = body
        self._output = Output()
        self._number = 0

    def opening(self, index: int) -> bytes:
        kinds = ("response.created", "response.in_progress")
        return self._frames({"type": kind, "response": self._body.running()} for kind in kinds)

    def frames(self, delta: Delta) -> bytes:
        return self._frames(self._output.add(delta))

    def closing(self, usage: Usage | None) -> bytes:
        response = self.whole()
        return self._frames([{"type": f"response.{response['status']}", "response": response}])

    def failure(self, error: WireError) -> bytes:
        """An ``error`` event as OpenAI sends it, nested, and as OpenAI's types describe it, flat;
        SDKs raise it. Then the response, for those who read on.
        """
        self._output.close("incomplete")
        told = error.body()["error"]
        failed = self._body.failed(error, self._output.items)
        return self._frames(
            [
                {**told, "type": "error", "error": told},
                {"type": "response.failed", "response": failed},
            ]
        )

    def add(self, delta: Delta) -> None:
        self._output.add(delta)

    def whole(self) -> dict[str, Any]:
        return self._body.ended(self._output.finish, self._output.items)

    def _frames(self, events: Iterable[Event]) -> bytes:
        return b"".join(map(self._frame, events))

    def _frame(self, event: Event) -> bytes:
        kind: str = event["type"]
        numbered = {"type": kind, "sequence_number": self._number, **event}
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + dumps(numbered) + b"\n\n"
