"""What a tokenizer puts around a text that no chat template frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from enginebay_core.api import Tokenizer


@dataclass(frozen=True, slots=True)
class Frame:
    """The ids before a text, as ``<s>`` or ``[CLS]``, and after it, as ``[SEP]``."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def begin(self, ids: list[int]) -> list[int]:
        """With the ids before it, unless the text spells them itself."""
        spelled = tuple(ids[: len(self.before)]) == self.before
        return ids if spelled else [*self.before, *ids]

    def around(self, ids: list[int]) -> list[int]:
        return [*self.begin(ids), *self.after]


@runtime_checkable
class FramesTexts(Protocol):
    """A tokenizer that knows what its model was trained to see around a text."""

    def text_frame(self) -> Frame: ...


def frame_of(tokenizer: Tokenizer) -> Frame:
    """Empty for a tokenizer without a method ``text_frame``."""
    return tokenizer.text_frame() if isinstance(tokenizer, FramesTexts) else Frame()
