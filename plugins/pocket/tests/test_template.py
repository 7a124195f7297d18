"""The chat template: the same text through Transformers and through plain sandboxed jinja2."""

import json
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import AutoTokenizer

from enginebay_pocket import model

Message = dict[str, Any]

TOOL: Message = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "查询天气 <now>",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SYSTEM: Message = {"role": "system", "content": "你是一个乐于助人的 AI 助手。"}
ASK: Message = {"role": "user", "content": "weather in Paris and Rome?"}
CALLS: Message = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "Two cities.",
    "tool_calls": [
        {
            "type": "function",
            "id": "a",
            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
        },
        {
            "type": "function",
            "id": "b",
            "function": {"name": "get_weather", "arguments": {"city": "Rome"}},
        },
    ],
}
RESULTS: list[Message] = [
    {"role": "tool", "tool_call_id": "a", "content": "21°C"},
    {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "30°C"}]},
]
CONVERSATIONS: list[list[Message]] = [
    [ASK],
    [SYSTEM, ASK],
    [SYSTEM, ASK, CALLS, *RESULTS],
    [ASK, CALLS, *RESULTS, {"role": "assistant", "content": "Warm."}, ASK],
    [{"role": "user", "content": [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]}],
]


def render(messages: list[Message], **variables: Any) -> str:
    """As a server without Transformers does it."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    source = (model() / "chat_template.jinja").read_text(encoding="utf-8")
    return env.from_string(source).render(messages=messages, **variables)


@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("tools", [None, [TOOL]])
@pytest.mark.parametrize("thinking", [None, False, True])
def test_transformers_renders_the_same(
    messages: list[Message], tools: list[Message] | None, thinking: bool | None
) -> None:
    variables: dict[str, Any] = {"add_generation_prompt": True, "tools": tools}
    if thinking is not None:
        variables["enable_thinking"] = thinking
    tokenizer = AutoTokenizer.from_pretrained(model())
    assert render(messages, **variables) == tokenizer.apply_chat_template(
        messages, tokenize=False, **variables
    )


def test_thinking_is_off_unless_asked_for() -> None:
    assert render([ASK], add_generation_prompt=True).endswith(
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert render([ASK], add_generation_prompt=True, enable_thinking=True).endswith(
        "<|im_end|>\n<|im_start|>assistant\n"
    )


def test_calls_and_results_have_their_form() -> None:
    text = render([ASK, CALLS, *RESULTS])
    assert (
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>' in text
    )
    assert (
        "<|im_start|>user\n<tool_response>\n21°C\n</tool_response>\n"
        "<tool_response>\n30°C\n</tool_response><|im_end|>\n" in text
    )


def test_thoughts_before_the_last_question_are_dropped() -> None:
    assert "Two cities." in render([ASK, CALLS, *RESULTS])
    assert "Two cities." not in render([ASK, CALLS, *RESULTS, ASK])


def test_tools_follow_the_system_line() -> None:
    text = render([SYSTEM, ASK], tools=[TOOL])
    assert text.startswith(f"<|im_start|>system\n{SYSTEM['content']}\n\n# Tools")
    assert json.dumps(TOOL, ensure_ascii=False) in text
