"""Prompts are what Transformers makes of the same conversation: text and ids."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from transformers import AutoTokenizer

from enginebay_core.api import Conversation, Message, RequestError, ToolCall
from enginebay_core.text import HuggingFaceTokenizer, hf_tokenizer
from enginebay_core.text.template_messages import template_messages

CORE_TESTS: Final = Path(__file__).parents[2] / "core" / "tests" / "text" / "conftest.py"


def _core_conftest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("core_text_checkpoints", CORE_TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKPOINTS: Final = _core_conftest()

SYSTEM = Message("system", "你是一个乐于助人的 AI 助手。")
USER = Message("user", "Hello world,  what is  the weather?\n\n 今天天气很好 🎉 <b>café</b>")
ANSWER = Message("assistant", " \n今天 is fine.\n ")
THOUGHT = Message("assistant", "Paris", reasoning="The user\nwants it.")
TAGGED = Message("assistant", "<think>\nLet me see.\n</think>\n\nParis!")
CALL = Message(
    "assistant",
    None,
    tool_calls=(ToolCall("abc123def", "get_weather", '{"city": "巴黎", "n": 2}'),),
)
RESULT = Message("tool", '{"temperature": 21}', tool_call_id="abc123def")
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather “now” & <here>.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

CONVERSATIONS: Final = {
    "user": Conversation((USER,)),
    "system": Conversation((SYSTEM, USER)),
    "turns": Conversation((USER, ANSWER, USER)),
    "system turns": Conversation((SYSTEM, USER, ANSWER, USER, ANSWER, USER)),
    "tools": Conversation((SYSTEM, USER), tools=(TOOL, TOOL)),
    "tool calls": Conversation((USER, CALL, RESULT), tools=(TOOL,)),
    "after tools": Conversation((USER, CALL, RESULT, ANSWER, USER), tools=(TOOL,)),
    "two results": Conversation((USER, CALL, RESULT, RESULT)),
    "reasoning": Conversation((USER, THOUGHT, USER)),
    "open reasoning": Conversation((USER, THOUGHT)),
    "not thinking": Conversation((USER,), options={"enable_thinking": False}),
    "options": Conversation((USER,), options={"date_string": "1 Jan 2030", "bos_token": "X"}),
    "blank": Conversation((Message("user", "  "),)),
    "empty": Conversation((Message("user", ""),)),
    "tagged": Conversation((USER, TAGGED, USER)),
    "open tagged": Conversation((USER, TAGGED)),
}
STYLES: Final = tuple(CHECKPOINTS.STYLES)


@pytest.fixture(scope="module", params=STYLES)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[HuggingFaceTokenizer, Any]:
    directory = tmp_path_factory.mktemp("parity") / request.param
    CHECKPOINTS.make_checkpoint(request.param, directory)
    return hf_tokenizer.load(directory), AutoTokenizer.from_pretrained(directory)


def _theirs(theirs: Any, conversation: Conversation) -> tuple[str, tuple[int, ...]] | str:
    arguments = {
        "tools": [dict(tool) for tool in conversation.tools] or None,
        "add_generation_prompt": True,
        **conversation.options,
    }
    messages = template_messages(conversation)
    try:
        text = theirs.apply_chat_template(messages, tokenize=False, **arguments)
        ids = theirs.apply_chat_template(messages, tokenize=True, return_dict=False, **arguments)
    except Exception as error:
        return str(error)
    return text, tuple(ids)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prompt_is_that_of_transformers(pair: tuple[HuggingFaceTokenizer, Any], name: str) -> None:
    ours, theirs = pair
    conversation = CONVERSATIONS[name]
    expected = _theirs(theirs, conversation)
    if isinstance(expected, str):
        assert name != "user", "every template takes a lone user message"
        with pytest.raises(RequestError) as refused:
            ours.render(conversation)
        assert expected in str(refused.value)
        return
    prompt = ours.render(conversation)
    assert prompt.text == expected[0]
    assert prompt.ids == expected[1]


def _spelling(text: str) -> list[Conversation]:
    user = Message("user", f"{text} what is {text}{text}\n the weather {text}")
    called = Message(
        "assistant", text, tool_calls=(ToolCall(text[:9], text, f'{{"a": "{text}"}}'),)
    )
    bare = Message("assistant", f"{text}\n\nanswer {text} \n")
    return [
        Conversation((user,)),
        Conversation((Message("user", text), bare, user)),
        Conversation((Message("system", text), user, bare, Message("user", text), bare)),
        Conversation((user, called, Message("tool", text, tool_call_id=text[:9]))),
        Conversation(
            (user,), tools=({"type": "function", "function": {"name": text, text: [text]}},)
        ),
    ]


def test_text_is_that_of_transformers_whatever_users_spell(
    pair: tuple[HuggingFaceTokenizer, Any],
) -> None:
    ours, theirs = pair
    for token in ours.control:
        for conversation in _spelling(token):
            expected = _theirs(theirs, conversation)
            if not isinstance(expected, str):
                assert ours.render(conversation).text == expected[0]
