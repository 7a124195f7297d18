"""The bytes that one token stands for, half a character included."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

from enginebay_core.api import Tokenizer
from enginebay_core.text.detokenizer import REPLACEMENT

_FALLBACK: Final = re.compile("<0x([0-9A-Fa-f]{2})>")


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    """What ``token`` adds to a text that is under way; empty for an id that is no token.

    Those of the ids of a valid text, joined, are its UTF-8, but for a blank at the start where the
    tokenizer begins every text with one. A control token has the bytes of its own text, though
    ``decode`` leaves it out. A tokenizer without a method ``token_bytes`` is asked for its text,
    in which bytes that form no character are U+FFFD.
    """
    spell: Callable[[int], bytes] | None = getattr(tokenizer, "token_bytes", None)
    if spell is not None:  # asking a protocol takes 20 times as long
        return spell(token)
    for text, control in tokenizer.control.items():
        if control == token:
            return text.encode()
    return tokenizer.decode([token]).encode()


class TokenSpeller:
    """The tokens of one Hugging Face tokenizer, each worked out once.

    A token is decoded after ``anchor``, the ids of some plain text, so that whatever decoder there
    is treats it as in the middle of a text. Only bytes that form no character are read off the
    token's ``piece``, by the decoders that make bytes of it: byte-level BPE's, and byte fallback.
    """

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        anchor: Callable[[], list[int]],
        piece: Callable[[int], str | None],
        decoder: str,
        own: Mapping[int, str],
    ) -> None:
        """``decoder`` is its description in ``tokenizer.json``; ``own`` are control and special
        tokens, each by its own text.
        """
        self._decode = decode
        self._find_anchor = anchor
        self._piece = piece
        self._alphabet = byte_alphabet() if '"ByteLevel"' in decoder else {}
        self._falls_back = '"ByteFallback"' in decoder
        self._known = {token: text.encode() for token, text in own.items()}

    def spell(self, token: int) -> bytes:
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = self._work_out(token)
        return known

    def _work_out(self, token: int) -> bytes:
        piece = self._piece(token)
        if piece is None:
            return b""
        text = self._text(token)
        return self._raw(piece, text) if REPLACEMENT in text else text.encode()

    def _text(self, token: int) -> str:
        anchor, shown = self._anchor
        text = self._decode([*anchor, token])
        return text[len(shown) :] if text.startswith(shown) else self._decode([token])

    def _raw(self, piece: str, text: str) -> bytes:
        if self._alphabet and self._alphabet.keys() >= set(piece):
            return bytes(self._alphabet[character] for character in piece)
        fallback = _FALLBACK.fullmatch(piece) if self._falls_back else None
        return bytes.fromhex(fallback[1]) if fallback else text.encode()

    @cached_property
    def _anchor(self) -> tuple[Sequence[int], str]:
        ids = self._find_anchor()
        return ids, self._decode(ids)


def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level BPE (GPT-2) writes bytes: printable ones of Latin-1 are
    themselves, the others follow from U+0100 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    own = {chr(byte): byte for byte in printable}
    return own | {chr(256 + place): byte for place, byte in enumerate(others)}
