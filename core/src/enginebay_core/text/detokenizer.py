"""Ids to text as they come, never half a character, holding back a bounded number of ids.

The step itself is ``tokenizers.decoders.DecodeStream`` where the tokenizer is Hugging Face's, or
the same window method over any ``decode``. Left alone, that method waits for ever while a model
emits bytes that form no character, and gives up when a decoder takes back what it said. Both are
handled here: after a few ids the decided part is released as U+FFFD and the window starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final, TypeAlias

REPLACEMENT: Final = "\ufffd"
LONGEST_TAIL: Final = 3
"""Ids that may hold the beginning of a character: UTF-8 has four bytes at most."""
PATIENCE: Final = 8
"""Ids without new text after which the decided part is released."""

Decode: TypeAlias = Callable[[list[int]], str]
Step: TypeAlias = Callable[[int], str | None]
"""Takes the next id; the new text, or None while it ends inside a character."""


class Detokenizer:
    """One per sequence. ``held`` counts the last pushed ids whose text is not decided yet.

    ``open_step(context)`` starts a Step that behaves as if ``context`` had just been shown.
    ``anchor`` gives ids of some plain text, which stand in for what was shown before. Ids in
    ``hidden`` have no text; those in ``shown`` are control tokens with the text to show.
    """

    def __init__(
        self,
        decode: Decode,
        open_step: Callable[[list[int]], Step],
        anchor: Callable[[], list[int]],
        hidden: Container[int],
        shown: Mapping[int, str],
    ) -> None:
        self._decode = decode
        self._open_step = open_step
        self._anchor = anchor
        self._hidden = hidden
        self._shown = shown
        self._step = open_step([])
        self._pending: list[int] = []
        self._waiting = 0
        self._started = False

    @property
    def held(self) -> int:
        return len(self._pending)

    def push(self, token: int) -> str:
        """Text that became decided by this id."""
        if token in self._shown:
            return self.flush() + self._show(token)
        if token in self._hidden:
            if self._pending:
                self._pending.append(token)
            return ""
        return self._push_text(token)

    def flush(self) -> str:
        """Text of what is held, bytes of an unfinished character as U+FFFD."""
        if not self._pending:
            return ""
        text = self._text_after(self._visible(self._pending))
        self._restart(text)
        return text

    def _push_text(self, token: int) -> str:
        try:
            text = self._step(token)
        except Exception:  # DecodeStream raises a bare Exception when a decoder changes its mind
            self._pending.append(token)
            return self._release()
        if text is not None:
            self._started = True
            if self._pending:
                self._pending = []
                self._waiting = 0
            return text
        self._pending.append(token)
        self._waiting += 1
        return self._release() if self._waiting >= PATIENCE else ""

    def _release(self) -> str:
        """Give out what no later id can change, and take the rest up again."""
        pending = self._pending
        places = [n for n, token in enumerate(pending) if token not in self._hidden]
        ids = [pending[n] for n in places]
        text, kept = self._split(ids)
        self._restart(text)
        rest = pending[places[len(ids) - kept] :] if kept else []
        return text + "".join([self.push(token) for token in rest])

    def _split(self, ids: list[int]) -> tuple[str, int]:
        """The decided text, and how many of the last ids may still begin a character."""
        whole = self._text_after(ids)
        if not whole.endswith(REPLACEMENT):
            return whole, 0
        for kept in range(min(LONGEST_TAIL, len(ids) - 1), 0, -1):
            head = self._text_after(ids[:-kept])
            tail = self._text_after(ids[-kept:], started=True)
            if tail and head + tail == whole:
                return head, kept
        return whole, 0

    def _text_after(self, ids: list[int], *, started: bool | None = None) -> str:
        if not ids:
            return ""
        started = self._started if started is None else started
        context = self._anchor() if started else []
        shown = self._decode(context) if context else ""
        text = self._decode(context + ids)
        return text[len(shown) :] if text.startswith(shown) else self._decode(ids)

    def _show(self, token: int) -> str:
        text = self._shown[token]
        self._restart(text)
        return text

    def _restart(self, text: str) -> None:
        self._started = self._started or bool(text)
        self._pending = []
        self._waiting = 0
        self._step = self._open_step(self._anchor() if self._started else [])

    def _visible(self, ids: Sequence[int]) -> list[int]:
        return [token for token in ids if token not in self._hidden]


class WindowStep:
    """The Step over any ``decode``: what the last shown ids and the new ones decode to, less what
    the last shown ones do. Costs two decodes of a few ids, however long the sequence.
    """

    def __init__(self, decode: Decode, context: list[int]) -> None:
        self._decode = decode
        self._ids = list(context)
        self._settled = len(context)
        self._prefix = decode(self._ids) if context else ""

    def __call__(self, token: int) -> str | None:
        self._ids.append(token)
        text = self._decode(self._ids)
        if len(text) <= len(self._prefix) or text.endswith(REPLACEMENT):
            return None
        if not text.startswith(self._prefix):
            raise ValueError("the decoder changed text that was already shown")
        new = text[len(self._prefix) :]
        self._ids = self._ids[self._settled :]
        self._settled = len(self._ids)
        self._prefix = self._decode(self._ids)
        return new
