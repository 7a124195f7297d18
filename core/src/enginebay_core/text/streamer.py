"""The streamer: ids of one sequence to text that is safe to show at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from enginebay_core.api import Piece, RequestError, Streamer, Tokenizer
from enginebay_core.text.detokenizer import Detokenizer, WindowStep
from enginebay_core.text.hf_tokenizer import HuggingFaceTokenizer
from enginebay_core.text.stops import StopMatcher

NOTHING: Final = Piece("")


def open_streamer(
    tokenizer: Tokenizer, stop: Sequence[str] = (), keep: Collection[int] = ()
) -> Streamer:
    """A streamer for one sequence.

    The control tokens in ``keep`` are shown as their text; other special tokens have none. The
    text is cut before the stop string that is complete first (of those that end together, the
    longest), wherever the borders between tokens lie. Raises RequestError for an empty stop string.
    """
    for index, one in enumerate(stop):
        if not one:
            raise RequestError(
                f"stop[{index}] is {one!r}; a stop string needs a character or more", param="stop"
            )
    return _Streamer(_open_detokenizer(tokenizer, keep), StopMatcher(stop) if stop else None)


class _Streamer:
    """Counts in characters: what was decoded, what was shown, where each id's text ends."""

    def __init__(self, detokenizer: Detokenizer, matcher: StopMatcher | None) -> None:
        self._detokenizer = detokenizer
        self._matcher = matcher
        self._undecoded: list[int] = []
        self._decoded: deque[tuple[int, int]] = deque()
        self._held_text = ""
        self._end = 0
        self._stopped = False

    def push(self, ids: Sequence[int]) -> Piece:
        if self._stopped:
            return NOTHING
        if self._matcher is None:
            text = "".join(map(self._detokenizer.push, ids))
            self._undecoded += ids
            return Piece(text, tuple(self._decided_ids()))
        return self._push_matched(ids, self._matcher)

    def flush(self) -> Piece:
        if self._stopped:
            return NOTHING
        text = self._detokenizer.flush()
        if self._matcher is None:
            return Piece(text, tuple(self._decided_ids()))
        texts: list[str] = []
        settled: list[int] = []
        stop = self._match(self._matcher, text, texts, settled)
        if stop is not None:
            return self._stop(stop, texts, settled)
        texts.append(self._held_text)
        self._held_text = ""
        self._settle(self._end, settled)
        return Piece("".join(texts), tuple(settled))

    def _push_matched(self, ids: Sequence[int], matcher: StopMatcher) -> Piece:
        texts: list[str] = []
        settled: list[int] = []
        for token in ids:
            self._undecoded.append(token)
            stop = self._match(matcher, self._detokenizer.push(token), texts, settled)
            if stop is not None:
                return self._stop(stop, texts, settled)
        return Piece("".join(texts), tuple(settled))

    def _match(
        self, matcher: StopMatcher, text: str, texts: list[str], settled: list[int]
    ) -> str | None:
        """``text`` was decoded: add what may be shown and settled; the stop string it completes."""
        decided = self._decided_ids()
        self._end += len(text)
        match = matcher.feed(text)
        if match is None and not matcher.held and not self._held_text:
            texts.append(text)
            settled += decided
            return None
        self._decoded.extend((self._end, token) for token in decided)
        text = self._held_text + text
        begin = self._end - len(text)
        shown = self._end - matcher.held if match is None else match.start
        texts.append(text[: shown - begin])
        self._held_text = text[shown - begin :]
        self._settle(shown if match is None else self._end, settled)
        return None if match is None else match.stop

    def _decided_ids(self) -> list[int]:
        """The ids whose text is complete; the others stay until theirs is."""
        held = self._detokenizer.held
        if not held:
            decided, self._undecoded = self._undecoded, []
            return decided
        cut = len(self._undecoded) - held
        decided = self._undecoded[:cut]
        del self._undecoded[:cut]
        return decided

    def _stop(self, stop: str, texts: list[str], settled: list[int]) -> Piece:
        self._stopped = True
        return Piece("".join(texts), tuple(settled), stop)

    def _settle(self, shown: int, settled: list[int]) -> None:
        """Settle the ids whose text ends at or before the character ``shown``."""
        while self._decoded and self._decoded[0][0] <= shown:
            settled.append(self._decoded.popleft()[1])


def _open_detokenizer(tokenizer: Tokenizer, keep: Collection[int]) -> Detokenizer:
    shown = {token: text for text, token in tokenizer.control.items() if token in keep}
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return tokenizer.open_detokenizer(shown)

    def decode(ids: list[int]) -> str:
        return tokenizer.decode(ids)

    return Detokenizer(
        decode,
        open_step=lambda context: WindowStep(decode, context),
        anchor=lambda: tokenizer.encode("a"),
        hidden=_HiddenIds(tokenizer),
        shown=shown,
    )


class _HiddenIds:
    """The control tokens that ``decode`` leaves out."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._control = frozenset(tokenizer.control.values())
        self._known: dict[int, bool] = {}

    def __contains__(self, token: object) -> bool:
        if token not in self._control or not isinstance(token, int):
            return False
        if token not in self._known:
            self._known[token] = not self._tokenizer.decode([token])
        return self._known[token]
