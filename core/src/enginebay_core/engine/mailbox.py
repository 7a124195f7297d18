"""From the engine's thread to the event loop that waits for one sequence."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from enginebay_core.api import EngineBayError, GenerationStep


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedder made of one input: float32 in the machine's own byte order."""

    vector: bytes


Letter: TypeAlias = GenerationStep | Embedding | EngineBayError

Deliver: TypeAlias = Callable[[Iterable[tuple[Any, Letter]]], None]
"""Takes all letters of one step, each with its sequence's ``mailbox``; called on the engine's
thread. ``deliver`` below is the one for mailboxes on event loops."""


class Mailbox:
    """Made on the event loop that reads it, by one task; filled only through ``deliver``.

    What asyncio.Queue does, for one reader and no bound, at a third of its cost per letter.
    """

    __slots__ = ("_letters", "_reader", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._letters: deque[Letter] = deque()
        self._reader: asyncio.Future[None] | None = None

    async def next(self) -> GenerationStep:
        """The next step; raises the error that ended the sequence instead."""
        letter = await self.letter()
        assert isinstance(letter, GenerationStep), "a sequence gets nothing else"
        return letter

    async def letter(self) -> GenerationStep | Embedding:
        """Whatever comes next; raises an error that comes instead."""
        while not self._letters:
            self._reader = self.loop.create_future()
            await self._reader
        letter = self._letters.popleft()
        if isinstance(letter, EngineBayError):
            raise letter
        return letter

    def put(self, letter: Letter) -> None:
        """On ``self.loop``'s thread only."""
        self._letters.append(letter)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def deliver(letters: Iterable[tuple[Mailbox, Letter]]) -> None:
    """From any thread: one call to each event loop, however many letters it gets."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Mailbox, Letter]]] = {}
    for mailbox, letter in letters:
        by_loop.setdefault(mailbox.loop, []).append((mailbox, letter))
    for loop, batch in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: its readers are gone, and so is the need
            loop.call_soon_threadsafe(_put_all, batch)


def _put_all(batch: list[tuple[Mailbox, Letter]]) -> None:
    for mailbox, letter in batch:
        mailbox.put(letter)
