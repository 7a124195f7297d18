"""Tool calls in OpenAI's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enginebay_server.parsers import CallPart


def call_delta(part: CallPart) -> dict[str, Any]:
    """In a chunk: the first part of a call has its id, type and name, the others none of them."""
    if not part.id:
        return {"index": part.index, "function": {"arguments": part.arguments}}
    return {"index": part.index, **_whole(part)}


def whole_calls(calls: Sequence[CallPart]) -> list[dict[str, Any]]:
    """In a message."""
    return [_whole(call) for call in calls]


def _whole(call: CallPart) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
