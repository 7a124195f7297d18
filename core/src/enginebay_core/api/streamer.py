"""Ids of one sequence to text that is safe to show at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Piece:
    """What may be shown now.

    ``ids`` are the ids this piece settles, in order: each pushed id is settled by exactly one
    piece, once every character it contributes to is decided. When ``stopped``, the last of them
    is the id that completed the stop string; ids pushed after it are settled by no piece, so the
    sum of ``len(piece.ids)`` is the completion's usage. ``stopped`` is the stop string that
    matched, or None.
    """

    text: str
    ids: tuple[int, ...] = ()
    stopped: str | None = None


@runtime_checkable
class Streamer(Protocol):
    """One per sequence, used by one thread at a time.

    The texts of all pieces, joined, are the decoded ids up to the first stop string, the stop
    string not included.
    """

    def push(self, ids: Sequence[int]) -> Piece:
        """Take the next ids. Never releases half a character, nor text that may yet become a
        stop string; after a stop every further push is an empty piece.
        """
        ...

    def flush(self) -> Piece:
        """The sequence has ended: release what was held back."""
        ...
