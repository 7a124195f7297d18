"""From the engine's thread to the event loop that waits for one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from enginebay_core.api import EngineBayError, GenerationStep

Letter: TypeAlias = GenerationStep | EngineBayError


class Mailbox:
    """Made on the event loop that reads it; filled only through ``deliver``."""

    __slots__ = ("_letters", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._letters: asyncio.Queue[Letter] = asyncio.Queue()

    async def next(self) -> GenerationStep:
        """The next step; raises the error that ended the sequence instead."""
        letter = await self._letters.get()
        if isinstance(letter, EngineBayError):
            raise letter
        return letter

    def put(self, letter: Letter) -> None:
        """On ``self.loop``'s thread only."""
        self._letters.put_nowait(letter)


def deliver(letters: Iterable[tuple[Mailbox, Letter]]) -> None:
    """From any thread: one call to each event loop, however many letters it gets."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Mailbox, Letter]]] = {}
    for mailbox, letter in letters:
        by_loop.setdefault(mailbox.loop, []).append((mailbox, letter))
    for loop, batch in by_loop.items():
        if not loop.is_closed():  # its readers are gone, and so is the need
            loop.call_soon_threadsafe(_put_all, batch)


def _put_all(batch: list[tuple[Mailbox, Letter]]) -> None:
    for mailbox, letter in batch:
        mailbox.put(letter)
