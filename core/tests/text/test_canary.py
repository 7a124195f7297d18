from __future__ import annotations

from collections.abc import Callable

import pytest

from enginebay_core.api import Conversation, Prompt
from enginebay_core.text import ByteTokenizer, HuggingFaceTokenizer, TemplateFacts, probe_template

EXPECTED = {
    "qwen3": TemplateFacts(
        chat=True, system=True, tools=True, tool_calls=True, thinking=True, reasoning=True
    ),
    "llama3": TemplateFacts(chat=True, system=True, tools=True, tool_calls=True),
    "mistral": TemplateFacts(
        chat=True, system=True, tools=True, tool_calls=True, short_call_ids=True
    ),
    "deepseek": TemplateFacts(chat=True, system=True, tool_calls=True),
    "llama2": TemplateFacts(chat=True, system=True),
    "gemma": TemplateFacts(chat=True),
}


@pytest.mark.parametrize("style", EXPECTED)
def test_the_facts_are_those_of_the_template(
    tokenizer: Callable[[str], HuggingFaceTokenizer], style: str
) -> None:
    assert probe_template(tokenizer(style)) == EXPECTED[style]


class Broken(ByteTokenizer):
    def render(self, conversation: Conversation) -> Prompt:
        raise OSError("no template today")


def test_it_never_raises() -> None:
    assert probe_template(Broken()) == TemplateFacts()
