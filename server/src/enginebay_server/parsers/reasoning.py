"""Tells thinking from the answer by control tokens, which user text can never spell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from enginebay_server.parsers.parts import Part, PartsReader, joined

PAIRS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "think": ("<think>", "</think>"),
        "mistral": ("[THINK]", "[/THINK]"),
        "seed": ("<seed:think>", "</seed:think>"),
    }
)
"""The control tokens around thinking, by the name that a config may give."""

_TAG: Final = Part(settled=1, thought=(0,), thinking=1)


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The ids that open and close a thinking block, and the name of the pair."""

    opening: int
    closing: int
    name: str = "think"

    def open_at_end(self, prompt: Sequence[int]) -> bool:
        """Whether the template left a thinking block open for the model to go on in."""
        for token in reversed(prompt):
            if token in (self.opening, self.closing):
                return token == self.opening
        return False


def thinking_tags(
    control: Mapping[str, int], names: Iterable[str] = tuple(PAIRS)
) -> ThinkingTags | None:
    """The tags among a tokenizer's control tokens, if it has one of the pairs ``names``."""
    for name in names:
        opening, closing = PAIRS[name]
        if opening in control and closing in control:
            return ThinkingTags(control[opening], control[closing], name)
    return None


class ReasoningReader:
    """Each block gets a reader of its own, so a tag is never text and never half shown.

    Stop strings belong to the answer: they are looked for in content, not in thinking, as where
    thinking is hidden from the client. Newlines around a block are the template's, not the
    model's words, and are dropped.
    """

    def __init__(
        self,
        tags: ThinkingTags,
        open_content: Callable[[], PartsReader],
        open_reasoning: Callable[[], PartsReader],
        *,
        thinking: bool,
    ) -> None:
        self._tags = tags
        self._open_content = open_content
        self._open_reasoning = open_reasoning
        self._thinking = thinking
        self._reader = open_reasoning() if thinking else open_content()
        self._at_start = thinking
        self._newlines = ""
        self._held = 0

    def push(self, ids: Sequence[int]) -> Part:
        total = Part()
        start = 0
        for index, token in enumerate(ids):
            if token in (self._tags.opening, self._tags.closing):
                total = joined(total, self._push_plain(ids[start:index]))
                if total.stopped:
                    return total
                total = joined(total, self._take_tag(token == self._tags.opening))
                start = index + 1
        return joined(total, self._push_plain(ids[start:]))

    def flush(self) -> Part:
        return self._shown(self._reader.flush())

    def _push_plain(self, ids: Sequence[int]) -> Part:
        if not ids:
            return Part()
        self._held += len(ids)
        return self._shown(self._reader.push(ids))

    def _take_tag(self, thinking: bool) -> Part:
        """Settle the tag's own id, and what the block before it held back. A tag that changes
        nothing, as a second opening, is dropped all the same, before the text that is held back.
        """
        if thinking == self._thinking:
            return Part(settled=1, thought=(0 if thinking else self._held,), thinking=1)
        held = self.flush()
        self._thinking = thinking
        self._reader = self._open_reasoning() if thinking else self._open_content()
        self._at_start = True
        self._newlines = ""
        return joined(held, _TAG)

    def _shown(self, part: Part) -> Part:
        self._held -= part.settled
        text = part.content
        if self._at_start:
            text = text.lstrip("\n")
            self._at_start = not text
        if not self._thinking:
            return replace(part, content=text)
        text = self._newlines + text
        shown = text.rstrip("\n")
        self._newlines = text[len(shown) :]
        places = tuple(range(part.settled))
        return Part("", shown, part.settled, part.stopped, places, thinking=part.settled)
