"""Log probabilities: from the engine's, by id, to what a client is told, by text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from enginebay_core.api import Tokenizer, TokenLogprob
from enginebay_core.text import open_streamer, token_bytes
from enginebay_server.parsers import Part

LOWEST: Final = -9999.0
"""OpenAI's, for a token that could not be chosen: JSON has no infinity, and no NaN."""

Entry: TypeAlias = tuple[TokenLogprob, ...]
"""Of one id: its own, then the best."""


@dataclass(frozen=True, slots=True)
class Spelled:
    """A token's bytes, which may be half a character, and its log probability, always finite."""

    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Told:
    """One id of the answer. ``top`` is best first; ``offset`` is where its text begins, in
    characters from the first id's; ids that make one character, or none, share theirs.
    """

    own: Spelled
    top: tuple[Spelled, ...]
    offset: int


class Ledger:
    """Holds each id's entry back until its text is shown. One per choice.

    Thinking, and the tags around it, are not told: they are no part of the message's content.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._measure = open_streamer(tokenizer)
        self._length = 0
        self._waiting: list[Entry] = []
        self._settled: list[Told] = []

    def add(self, entries: Iterable[Entry], part: Part) -> None:
        """``entries`` of the newest ids, and what these ids settled of all that wait."""
        self._waiting += entries
        for place in reversed(part.thought):
            del self._waiting[place]
        count = part.settled - len(part.thought)
        self._settled += map(self._tell, self._waiting[:count])
        del self._waiting[:count]

    def take(self) -> tuple[Told, ...]:
        """What was settled since the last call."""
        taken, self._settled = tuple(self._settled), []
        return taken

    def _tell(self, entry: Entry) -> Told:
        own, *top = (self._spell(told) for told in entry)
        offset = self._length
        self._length += len(self._measure.push([entry[0].id]).text)
        return Told(own, tuple(top), offset)

    def _spell(self, told: TokenLogprob) -> Spelled:
        return Spelled(token_bytes(self._tokenizer, told.id), _finite(told.logprob))


def chat_logprobs(tokens: Sequence[Told] | None) -> dict[str, Any] | None:
    """As in a choice of a chat, and of a chunk of one; None where nobody asked."""
    if tokens is None:
        return None
    content = [
        {**_described(told.own), "top_logprobs": [_described(one) for one in told.top]}
        for told in tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(tokens: Sequence[Told] | None) -> dict[str, Any] | None:
    """As in a choice of a plain completion, lists side by side; None where nobody asked."""
    if tokens is None:
        return None
    return {
        "tokens": [_name(told.own.text) for told in tokens],
        "token_logprobs": [told.own.logprob for told in tokens],
        "top_logprobs": [_by_name(told) for told in tokens],
        "text_offset": [told.offset for told in tokens],
    }


def _described(one: Spelled) -> dict[str, Any]:
    text = one.text.decode(errors="replace")
    return {"token": text, "logprob": one.logprob, "bytes": list(one.text)}


def _by_name(told: Told) -> dict[str, float]:
    """Best first, the token itself always among them. Of two that read alike the better stays."""
    named: dict[str, float] = {}
    for one in told.top:
        named.setdefault(_name(one.text), one.logprob)
    named[_name(told.own.text)] = told.own.logprob
    return named


def token_name(tokenizer: Tokenizer, token: int) -> str:
    """A token as the lists of a completion's log probabilities show it."""
    return _name(token_bytes(tokenizer, token))


def _name(text: bytes) -> str:
    r"""Without a field for bytes, what is no text is written as OpenAI does: ``bytes:\xe4``."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in text)


def _finite(logprob: float) -> float:
    """In JSON's range; NaN, which compares with nothing, is as unlikely as can be."""
    return min(float(logprob), 0.0) if logprob > LOWEST else LOWEST
