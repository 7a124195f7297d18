"""What a tokenizer puts around a text, and a turn that is left unopened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from enginebay_core.api import Conversation, Message
from enginebay_core.text import ByteTokenizer, Frame, HuggingFaceTokenizer, frame_of, hf_tokenizer

Load = Callable[[str], HuggingFaceTokenizer]
USER = (Message("user", "Hello"),)


def framed(source: Path, folder: Path, before: str | None, after: str | None) -> Frame:
    """Of a copy of the checkpoint whose post-processor adds these tokens."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [hf]")
    tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
    names = [name for name in (before, after) if name is not None]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=" ".join(filter(None, (before, "$A", after))),
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in names],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    for file in ("tokenizer_config.json", "config.json"):
        (folder / file).write_text(json.dumps({}))
    return frame_of(hf_tokenizer.load(folder))


@pytest.mark.parametrize("before", [None, "<|endoftext|>"])
@pytest.mark.parametrize("after", [None, "<|im_end|>"])
def test_the_frame_is_the_post_processors(
    checkpoint: Callable[[str], Path], tmp_path: Path, before: str | None, after: str | None
) -> None:
    source = checkpoint("qwen3")
    control = hf_tokenizer.load(source).control
    found = framed(source, tmp_path, before, after)
    assert found.before == ((control[before],) if before else ())
    assert found.after == ((control[after],) if after else ())


def test_a_frame_is_not_put_on_twice() -> None:
    frame = Frame((1,), (2,))
    assert frame.begin([5]) == [1, 5]
    assert frame.begin([1, 5]) == [1, 5]
    assert frame.around([5]) == [1, 5, 2]
    assert Frame().around([5]) == [5]


def test_a_tokenizer_that_adds_nothing_has_an_empty_frame(tokenizer: Load) -> None:
    assert frame_of(ByteTokenizer()) == frame_of(tokenizer("qwen3")) == Frame()


def test_a_turn_can_be_left_unopened(tokenizer: Load) -> None:
    for one in (ByteTokenizer(), tokenizer("qwen3")):
        opened = one.render(Conversation(USER))
        ended = one.render(Conversation(USER, opens_turn=False))
        assert opened.text.startswith(ended.text)
        assert opened.text.endswith("<|im_start|>assistant\n")
        assert ended.text.endswith("Hello<|im_end|>\n")
        assert opened.ids[: len(ended.ids)] == ended.ids
