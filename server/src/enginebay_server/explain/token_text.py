"""Token ids with text that a person can read, also where one character is several tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enginebay_core.api import Tokenizer
from enginebay_core.text import open_streamer


@dataclass(frozen=True, slots=True)
class TokenText:
    """The fewest neighbouring ids that make whole characters, and those characters."""

    ids: tuple[int, ...]
    text: str
    control: bool = False


def token_texts(tokenizer: Tokenizer, ids: Sequence[int]) -> Iterator[TokenText]:
    """All ``ids`` in order, control tokens by their names."""
    control = {token: text for text, token in tokenizer.control.items()}
    streamer = open_streamer(tokenizer)
    for token in ids:
        if token in control:
            piece = streamer.flush()
            if piece.ids:
                yield TokenText(piece.ids, piece.text)
            yield TokenText((token,), control[token], True)
            streamer = open_streamer(tokenizer)
        elif (piece := streamer.push([token])).ids:
            yield TokenText(piece.ids, piece.text)
    piece = streamer.flush()
    if piece.ids:
        yield TokenText(piece.ids, piece.text)


def token_text(tokenizer: Tokenizer, token: int) -> TokenText:
    """One id by itself; half a character shows as U+FFFD."""
    for text, known in tokenizer.control.items():
        if known == token:
            return TokenText((token,), text, True)
    return TokenText((token,), tokenizer.decode([token]))
