"""The items of a response while they grow. ``body`` is an item as it will be at its end, and is
filled in as that comes; events carry copies.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from enginebay_server.logprobs import Told, chat_logprobs
from enginebay_server.parsers import CallPart

Event: TypeAlias = dict[str, Any]
"""As on the wire, less its ``sequence_number``."""


class GrowingItem:
    """``index`` is its place in the response."""

    prefix: ClassVar[str]

    def __init__(self, index: int, **fields: Any) -> None:
        self._index = index
        self._id = f"{self.prefix}_{uuid.uuid4().hex}"
        self.body: dict[str, Any] = {"id": self._id, "status": "in_progress", **fields}

    def begin(self) -> list[Event]:
        return [self._whole("added")]

    def close(self, status: str) -> list[Event]:
        self.body["status"] = status
        return [self._whole("done")]

    def _whole(self, state: str) -> Event:
        return {
            "type": f"response.output_item.{state}",
            "output_index": self._index,
            "item": dict(self.body),
        }

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "item_id": self._id, "output_index": self._index, **fields}


class GrowingText(GrowingItem):
    """An item with one part, of text."""

    kind: ClassVar[str]
    """Of its events."""

    def __init__(self, index: int, **fields: Any) -> None:
        super().__init__(index, **fields, content=[])
        self._texts: list[str] = []

    def begin(self) -> list[Event]:
        return [*super().begin(), self._part_event("added")]

    def close(self, status: str) -> list[Event]:
        text = "".join(self._texts)
        done = self._event(f"{self.kind}.done", content_index=0, text=text, **self._notes())
        ended = self._part_event("done")
        self.body["content"] = [ended["part"]]
        return [done, ended, *super().close(status)]

    def _part_event(self, state: str) -> Event:
        part = self._part("".join(self._texts))
        return self._event(f"response.content_part.{state}", content_index=0, part=part)

    def _part(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def _notes(self) -> dict[str, Any]:
        return {}


class GrowingMessage(GrowingText):
    """What is said."""

    prefix = "msg"
    kind = "response.output_text"

    def __init__(self, index: int) -> None:
        super().__init__(index, type="message", role="assistant")
        self._logprobs: list[dict[str, Any]] = []

    def grow(self, text: str, logprobs: Sequence[Told] | None) -> Event:
        told = (chat_logprobs(logprobs) or {}).get("content", [])
        self._texts.append(text)
        self._logprobs += told
        return self._event(f"{self.kind}.delta", content_index=0, delta=text, logprobs=told)

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], **self._notes()}

    def _notes(self) -> dict[str, Any]:
        return {"logprobs": list(self._logprobs)}


class GrowingReasoning(GrowingText):
    """What is thought, told whole and not in summary."""

    prefix = "rs"
    kind = "response.reasoning_text"

    def __init__(self, index: int) -> None:
        super().__init__(index, type="reasoning", summary=[])

    def grow(self, text: str) -> Event:
        self._texts.append(text)
        return self._event(f"{self.kind}.delta", content_index=0, delta=text)

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": text}


class GrowingCall(GrowingItem):
    """A function that the client is to call."""

    prefix = "fc"
    kind = "response.function_call_arguments"

    def __init__(self, index: int, call: CallPart) -> None:
        names = {"call_id": call.id, "name": call.name, "arguments": ""}
        super().__init__(index, type="function_call", **names)
        self._texts: list[str] = []

    def grow(self, arguments: str) -> Event:
        self._texts.append(arguments)
        return self._event(f"{self.kind}.delta", delta=arguments)

    def close(self, status: str) -> list[Event]:
        self.body["arguments"] = "".join(self._texts)
        said = {name: self.body[name] for name in ("name", "arguments")}
        return [self._event(f"{self.kind}.done", **said), *super().close(status)]
