"""Text and conversations to token ids and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from enginebay_core.api.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is shown. ``text`` is for people; ``ids`` is what runs, and may differ from
    ``encode(text)``, since control tokens spelled by a user stay ordinary text in ``ids``.
    """

    text: str
    ids: tuple[int, ...]


@runtime_checkable
class Tokenizer(Protocol):
    """One per model, shared by all requests: every method may be called from any thread."""

    @property
    def control(self) -> Mapping[str, int]:
        """Control tokens by their text, e.g. ``{"<|im_end|>": 151645}``."""
        ...

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        """Ids of ``text``, nothing added at either end. With ``control=False`` no id in
        ``self.control.values()`` is ever returned, whatever the text spells.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids`` without special tokens; bytes that form no character become U+FFFD."""
        ...

    def render(self, conversation: Conversation) -> Prompt:
        """The conversation in the model's own chat template, ready for the assistant's turn.

        Raises RequestError when the template refuses the conversation.
        """
        ...
