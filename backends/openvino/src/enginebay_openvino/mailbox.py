"""From the pipeline's thread to the event loops that wait for sequences."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final, TypeAlias

from enginebay_core.api import EngineBayError, GenerationStep

ROUNDS: Final = 3
"""Turns of a loop in which a letter is put, read, and what its reader said is passed on."""
PATIENCE: Final = 0.005

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


def give_way(loops: Collection[asyncio.AbstractEventLoop]) -> None:
    """Let each loop do what waits for it, letters among that; of one that is slow nobody waits
    longer than ``PATIENCE`` seconds.
    """
    for loop in loops:
        done = threading.Event()
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_after, loop, ROUNDS, done.set)
            done.wait(PATIENCE)


def _after(loop: asyncio.AbstractEventLoop, rounds: int, call: Callable[[], None]) -> None:
    if rounds:
        loop.call_soon(_after, loop, rounds - 1, call)
    else:
        call()


def _put(letters: list[tuple[Mailbox, Letter]]) -> None:
    for mailbox, letter in letters:
        mailbox.letters.put_nowait(letter)
