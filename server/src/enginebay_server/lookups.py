"""Who only asks what a tokenizer makes of something, and no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from enginebay_core.api import Overloaded
from enginebay_server.prompt import PromptMaker

THREADS: Final = 2


class Lookups:
    """Their prompts are made on threads of their own, so that no chat waits behind them, and
    ``limit`` bounds how many of them are there at once. ``close`` it with the server.
    """

    def __init__(self, limit: int) -> None:
        self.prompts = PromptMaker(THREADS)
        self._limit = limit
        self._inside = 0

    def take(self) -> Callable[[], None]:
        """Room for one; what is returned gives it back. Raises Overloaded."""
        if self._inside >= self._limit:
            raise Overloaded(f"The server is busy: {self._inside} texts are being looked at.")
        self._inside += 1
        return self._give_back

    def close(self) -> None:
        self.prompts.close()

    def _give_back(self) -> None:
        self._inside -= 1
