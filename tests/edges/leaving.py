"""500 clients that leave at any moment, and how soon all their room is free:
``python -m tests.edges.leaving``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

from tests.edges.target import GREEDY
from tests.server.conftest import TOY, Config, Running, running

CLIENTS = 500
BAR = 1.0
"""Seconds until all room is free."""
PLACEMENTS = ("inline", "process")
LONG: dict[str, Any] = {"model": "m", "max_tokens": 1500, "ignore_eos": True}


def config(placement: str) -> Config:
    options = {"step_seconds": 0.002, "max_sequences": 32}
    model = {**TOY, "options": options, "placement": placement, "queue": {"length": 1600}}
    server = {"shutdown_seconds": 0, "limits": {"sequences": 1600}}
    return {"server": server, "models": {"m": model}}


@dataclass(frozen=True)
class Aftermath:
    """``seconds`` until nothing was running, waiting or reserved any more; ``working`` at once:
    what was, when the last client left. ``same``: the answer to a question did not change.
    """

    seconds: float
    working: int
    same: bool

    @property
    def right(self) -> bool:
        return self.seconds < BAR and self.same


async def aftermath(placement: str) -> Aftermath:
    """Gives up waiting after ten times the bar."""
    with running(config(placement)) as server:
        canary = await answer(server)
        port = int(server.root.rsplit(":", 1)[1])
        chance = random.Random(20)
        await asyncio.gather(*(leave(port, chance.random()) for _ in range(CLIENTS)))
        left, working = time.monotonic(), server.working("m")
        while server.working("m") or server.service.intake.inside:
            if time.monotonic() - left > 10 * BAR:
                break
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - left
        return Aftermath(seconds, working, await answer(server) == canary)


async def leave(port: int, luck: float) -> None:
    """Before the head is whole, while it waits, or in the middle of an answer."""
    body = {**GREEDY, **LONG, "stream": luck > 0.5, "n": 1 + int(luck * 10) % 3}
    payload = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    whole = head.encode() + payload
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


def main() -> int:
    seen = {placement: asyncio.run(aftermath(placement)) for placement in PLACEMENTS}
    for placement, after in seen.items():
        print(
            f"{placement}: {CLIENTS} clients left, {after.working} sequences still in work; "
            f"all room free after {after.seconds:.3f} s; the next answer is "
            f"{'unchanged' if after.same else 'another one'}"
        )
    return 0 if all(after.right for after in seen.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
