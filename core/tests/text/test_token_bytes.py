"""The bytes of single tokens, by what whole texts decode to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from enginebay_core.api import Tokenizer
from enginebay_core.text import ByteTokenizer, HuggingFaceTokenizer, token_bytes
from enginebay_core.text.token_bytes import byte_alphabet

pytest.importorskip("hypothesis", reason="the laws are checked on random ids")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str], HuggingFaceTokenizer]
STYLES = ("qwen3", "macros", "deepseek", "llama2", "mistral", "gemma", "unigram", "wordpiece")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=12)
"""Without the character that stands for a blank in some vocabularies, and comes back as one."""
# Fixtures here are loaded once and never change, so one serves all examples.
LAWS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def joined(tokenizer: Tokenizer, ids: Sequence[int]) -> bytes:
    return b"".join(token_bytes(tokenizer, token) for token in ids)


def added_text(tokenizer: HuggingFaceTokenizer, ids: Sequence[int]) -> bytes:
    """What ``ids`` add to a text that is under way."""
    before = tokenizer.encode("The dog")
    text = tokenizer.decode([*before, *ids])
    assert text.startswith(tokenizer.decode(before))
    return text[len(tokenizer.decode(before)) :].encode()


@pytest.mark.parametrize("style", ["qwen3", "macros", "deepseek", "gemma"])
@LAWS
@given(text=TEXTS | st.just("你好 🎉 café\n"))
def test_the_bytes_of_a_text_are_its_utf_8(tokenizer: Load, style: str, text: str) -> None:
    hf = tokenizer(style)
    assert joined(hf, hf.encode(text)) == hf.decode(hf.encode(text)).encode() == text.encode()


@pytest.mark.parametrize("style", ["llama2", "mistral"])
@LAWS
@given(text=TEXTS.map(lambda text: "x" + text))
def test_but_for_the_blank_before_every_text(tokenizer: Load, style: str, text: str) -> None:
    hf = tokenizer(style)
    assert joined(hf, hf.encode(text)) == b" " + text.encode()


@pytest.mark.parametrize("style", STYLES)
@LAWS
@given(data=st.data())
def test_the_bytes_of_any_ids_are_what_they_add(
    tokenizer: Load, style: str, data: st.DataObject
) -> None:
    hf = tokenizer(style)
    special = hf._hidden | set(hf.control.values())
    ids = range(hf._tokenizer.get_vocab_size() + 2)
    words = [[i] for i in ids if i not in special and "\ufffd" not in hf.decode([i])]
    texts = [[i for i in hf.encode(text) if i not in special] for text in ("你好 🎉", " 🦀é")]
    parts = data.draw(st.lists(st.sampled_from(words) | st.sampled_from(texts), max_size=12))
    drawn = [*itertools.chain(*parts)]
    assert joined(hf, drawn) == added_text(hf, drawn)


@pytest.mark.parametrize("style", ["qwen3", "llama2", "gemma"])
def test_a_character_is_there_in_its_bytes(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    ids = hf.encode("🦀")  # not in what they were trained on
    assert len(ids) > 1
    assert joined(hf, ids).endswith("🦀".encode())
    assert any("\ufffd" in token_bytes(hf, token).decode(errors="replace") for token in ids)


def test_byte_level_bpe_writes_bytes_as_tokenizers_does() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [hf]")
    assert set(byte_alphabet()) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))


def test_every_byte_has_a_token_of_its_own(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    size = hf._tokenizer.get_vocab_size()
    single = {spelled for spelled in (token_bytes(hf, i) for i in range(size)) if len(spelled) == 1}
    assert single == {bytes([byte]) for byte in range(256)}


@pytest.mark.parametrize("style", STYLES)
def test_control_tokens_show_their_text(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    assert hf.control
    for text, token in hf.control.items():
        assert token_bytes(hf, token) == text.encode()


def test_an_id_that_is_no_token_has_no_bytes(tokenizer: Load) -> None:
    assert token_bytes(tokenizer("qwen3"), 10**6) == b""
    assert token_bytes(ByteTokenizer(), 10**6) == b""


def test_the_byte_tokenizer_has_every_byte() -> None:
    tokenizer = ByteTokenizer()
    assert joined(tokenizer, range(256)) == bytes(range(256))
    for text, token in tokenizer.control.items():
        assert token_bytes(tokenizer, token) == text.encode()


class Foreign:
    """A tokenizer of someone else: nothing but the protocol."""

    def __init__(self, inner: HuggingFaceTokenizer) -> None:
        self.control = inner.control
        self.encode, self.decode, self.render = inner.encode, inner.decode, inner.render


def test_a_foreign_tokenizer_is_asked_for_text(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    foreign = Foreign(hf)
    ids = hf.encode("Hello 你好")
    assert joined(foreign, ids) == "Hello 你好".encode()
    assert token_bytes(foreign, hf.encode("🦀")[0]) == "\ufffd".encode()
    assert token_bytes(foreign, hf.control["<|im_end|>"]) == b"<|im_end|>"
