"""An answer that is nothing but text."""

from __future__ import annotations

from collections.abc import Sequence

from enginebay_core.api import Piece, Streamer
from enginebay_server.parsers.parts import Part


class PlainReader:
    """Everything is content."""

    def __init__(self, streamer: Streamer) -> None:
        self._streamer = streamer

    def push(self, ids: Sequence[int]) -> Part:
        return _part(self._streamer.push(ids))

    def flush(self) -> Part:
        return _part(self._streamer.flush())


def _part(piece: Piece) -> Part:
    return Part(piece.text, "", len(piece.ids), piece.stopped is not None)
