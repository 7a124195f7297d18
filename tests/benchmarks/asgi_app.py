"""Answers any POST with as many frames as its ``max_tokens`` says, each sent by itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

CHUNK = {
    "id": "chatcmpl-0123456789abcdef0123456789abcdef",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "bench",
    "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
}
FRAME = b"data: " + json.dumps(CHUNK, separators=(",", ":")).encode() + b"\n\n"
"""As long as EngineBay's for one token."""


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(json.loads(body)["max_tokens"]):
        await send({"type": "http.response.body", "body": FRAME, "more_body": True})
        await asyncio.sleep(0)  # the other streams' turn, as with a frame per step
    await send({"type": "http.response.body", "body": b"", "more_body": False})
