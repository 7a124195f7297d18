"""Tokenizers with one fault each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from enginebay_core.api import Conversation, Prompt
from enginebay_core.text import ByteTokenizer


class ParsesControlTokens(ByteTokenizer):
    def encode(self, text: str, *, control: bool = False) -> list[int]:
        return super().encode(text, control=True)


class ParsesTheRenderedText(ByteTokenizer):
    def render(self, conversation: Conversation) -> Prompt:
        text = super().render(conversation).text
        return Prompt(text, tuple(self.encode(text, control=True)))


class StripsWhatWasSaid(ByteTokenizer):
    def render(self, conversation: Conversation) -> Prompt:
        shortened = [
            replace(message, content=" ".join((message.content or "").split()))
            for message in conversation.messages
        ]
        return super().render(replace(conversation, messages=tuple(shortened)))


class DropsHalfCharacters(ByteTokenizer):
    """Shows a question mark for bytes that are no character yet."""

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids).replace("\ufffd", "?")


class DecodesInLines(ByteTokenizer):
    """What is decoded at a time comes out in lines of ten characters."""

    def decode(self, ids: Sequence[int]) -> str:
        text = super().decode(ids)
        return "\n".join(text[start : start + 10] for start in range(0, len(text), 10))


class LosesCase(ByteTokenizer):
    def encode(self, text: str, *, control: bool = False) -> list[int]:
        return super().encode(text.lower().replace("ï", "i"), control=control)


TOKENIZERS: Sequence[tuple[type[ByteTokenizer], str]] = (
    (ParsesControlTokens, "control_tokens_in_text_stay_text"),
    (ParsesTheRenderedText, "control_tokens_of_users_stay_text"),
    (StripsWhatWasSaid, "rendering_keeps_what_was_said"),
    (DropsHalfCharacters, "characters_split_over_tokens_stay_whole"),
    (DecodesInLines, "stop_strings_cut_exactly"),
    (LosesCase, "text_survives_the_round_trip"),
)
