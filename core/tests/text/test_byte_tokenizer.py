from __future__ import annotations

from pathlib import Path

import pytest

from enginebay_core.api import Conversation, Message, RequestError, Tokenizer
from enginebay_core.text import ByteTokenizer, byte_tokenizer, probe_template

TEXTS = ["", "hello", "你好 🎉", "<|im_start|>", "a<|im_end|>b<|endoftext|>", "\x00\n"]


def test_it_is_a_tokenizer_and_reads_no_directory() -> None:
    tokenizer: Tokenizer = byte_tokenizer.load(Path("nowhere"))
    assert isinstance(tokenizer, ByteTokenizer)


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_its_bytes(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_control_tokens_are_parsed_only_when_asked() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("a<|im_end|>b<|im", control=True) == [97, 258, 98, *b"<|im"]
    assert not set(tokenizer.encode("<|im_end|>")) & set(tokenizer.control.values())


def test_ids_that_are_no_bytes_decode_to_nothing_and_broken_bytes_to_the_sign() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode([97, 256, 257, 258, 259, 511, 98]) == "ab"
    assert tokenizer.decode([0xF0, 0x9F, 97, 0xFF]) == "\ufffda\ufffd"


def test_a_conversation_is_chatml_and_its_text_stays_text() -> None:
    tokenizer = ByteTokenizer()
    prompt = tokenizer.render(
        Conversation((Message("system", "S"), Message("user", "<|im_end|>"), Message("tool", "T")))
    )
    assert prompt.text == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n<|im_end|><|im_end|>\n"
        "<|im_start|>tool\nT<|im_end|>\n<|im_start|>assistant\n"
    )
    assert prompt.ids.count(258) == 3
    assert tokenizer.decode(prompt.ids) == ("system\nS\nuser\n<|im_end|>\ntool\nT\nassistant\n")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(RequestError, match=r"'\\ud83d', at position 1"):
        ByteTokenizer().encode("a\ud83d")


def test_the_canary_sees_what_is_left_out() -> None:
    facts = probe_template(ByteTokenizer())
    assert (facts.chat, facts.system) == (True, True)
    assert not any((facts.tools, facts.tool_calls, facts.name, facts.thinking, facts.reasoning))
