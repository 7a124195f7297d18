"""From the pipeline's thread to the event loop that waits for one sequence."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

from enginebay_core.api import EngineBayError, GenerationStep

Letter: TypeAlias = GenerationStep | EngineBayError


class Mailbox:
    """Made on the event loop that reads it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.letters: asyncio.Queue[Letter] = asyncio.Queue()

    async def next(self) -> GenerationStep:
        """Raises the error that ended the sequence."""
        letter = await self.letters.get()
        if isinstance(letter, EngineBayError):
            raise letter
        return letter


def deliver(letters: Iterable[tuple[Mailbox, Letter]]) -> None:
    """All that one step brought: one call to each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Mailbox, Letter]]] = defaultdict(list)
    for mailbox, letter in letters:
        by_loop[mailbox.loop].append((mailbox, letter))
    for loop, ours in by_loop.items():
        with suppress(RuntimeError):  # closed: nobody reads there any more
            loop.call_soon_threadsafe(_put, ours)


def _put(letters: list[tuple[Mailbox, Letter]]) -> None:
    for mailbox, letter in letters:
        mailbox.letters.put_nowait(letter)
