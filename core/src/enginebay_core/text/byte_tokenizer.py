"""A tokenizer without any file: one id per UTF-8 byte, and three control tokens.

For the toy engine and for tests: every text has ids, and what they are can be read off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from enginebay_core.api import Conversation, Prompt
from enginebay_core.text.characters import check_characters

END_OF_TEXT: Final = 256
START: Final = 257
END: Final = 258

CONTROL: Final[Mapping[str, int]] = MappingProxyType(
    {"<|endoftext|>": END_OF_TEXT, "<|im_start|>": START, "<|im_end|>": END}
)
_CONTROL_BYTES: Final = MappingProxyType(
    {number: text.encode() for text, number in CONTROL.items()}
)
_CONTROL_PATTERN: Final = re.compile("(" + "|".join(map(re.escape, CONTROL)) + ")")


def load(model: Path) -> ByteTokenizer:
    """The entry point ``bytes``. The directory is not read: there is nothing to load."""
    del model
    return ByteTokenizer()


class ByteTokenizer:
    """Ids 0 to 255 are bytes. Control tokens, and all ids above them, decode to nothing.

    Conversations are rendered as ChatML. Tools, names and reasoning are left out.
    """

    @property
    def control(self) -> Mapping[str, int]:
        return CONTROL

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        check_characters(text)
        if not control:
            return list(text.encode())
        ids: list[int] = []
        for part in _CONTROL_PATTERN.split(text):
            ids += [CONTROL[part]] if part in CONTROL else part.encode()
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return bytes([token for token in ids if token < END_OF_TEXT]).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """As the function of that name says."""
        return bytes([token]) if token < END_OF_TEXT else _CONTROL_BYTES.get(token, b"")

    def render(self, conversation: Conversation) -> Prompt:
        texts: list[str] = []
        ids: list[int] = []
        for message in conversation.messages:
            turn = f"{message.role}\n{message.content or ''}"
            texts.append(f"<|im_start|>{turn}<|im_end|>\n")
            ids += [START, *self.encode(turn), END, *b"\n"]
        if conversation.opens_turn:
            texts.append("<|im_start|>assistant\n")
            ids += [START, *b"assistant\n"]
        return Prompt("".join(texts), tuple(ids))
