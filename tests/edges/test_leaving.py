"""500 clients that leave at any moment: all their room is free at once, and nobody remembers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest
from tests.edges.target import GREEDY
from tests.server.conftest import TOY, Config, Running, running

CLIENTS = 500
AT_ONCE = 100
LONG: dict[str, Any] = {"model": "m", "max_tokens": 1500, "ignore_eos": True}


def config(placement: str) -> Config:
    options = {"step_seconds": 0.002, "max_sequences": 8}
    model = {**TOY, "options": options, "placement": placement, "queue": {"length": 800}}
    return {"server": {"shutdown_seconds": 0}, "models": {"m": model}}


@pytest.mark.parametrize("placement", ["inline", "process"])
async def test_room_is_free_within_a_second(placement: str) -> None:
    with running(config(placement)) as server:
        canary = await answer(server)
        port = int(server.root.rsplit(":", 1)[1])
        places = asyncio.Semaphore(AT_ONCE)
        chance = random.Random(20)
        await asyncio.gather(*(leave(port, chance.random(), places) for _ in range(CLIENTS)))
        left = time.monotonic()
        while server.working("m") or server.service.intake.inside:
            assert time.monotonic() - left < 1.0, "room is still taken"
            await asyncio.sleep(0.005)
        assert await answer(server) == canary


async def leave(port: int, luck: float, places: asyncio.Semaphore) -> None:
    """Before the head is whole, while it waits, or in the middle of an answer."""
    body = {**GREEDY, **LONG, "stream": luck > 0.5, "n": 1 + int(luck * 10) % 3}
    payload = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    whole = head.encode() + payload
    async with places:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole if luck > 0.1 else whole[: int(luck * 10 * len(whole))])
        await writer.drain()
        if luck > 0.7:
            await reader.readline()
        await asyncio.sleep(luck / 2)
        writer.transport.abort() if luck > 0.8 else writer.close()


async def answer(server: Running) -> list[Any]:
    body = {**GREEDY, "model": "m", "max_tokens": 32, "n": 2, "seed": 5}
    answered = await asyncio.to_thread(server.post, body)
    assert answered.status_code == 200, answered.text
    choices: list[Any] = answered.json()["choices"]
    return choices
