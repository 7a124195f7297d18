"""What the bundled model says, greedily and in float32."""

import json
from typing import Any

import pytest

from enginebay_pocket import model
from enginebay_pocket.recipe.exchange import Conversation
from enginebay_pocket.recipe.generate import Writer
from enginebay_pocket.recipe.render import prompt

Message = dict[str, Any]
WEATHER: Message = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather for a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City name"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer(model())


def say(writer: Writer, messages: list[Message], **given: Any) -> str:
    return writer.answer([prompt(Conversation(messages, "", **given))])[0]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def test_it_introduces_itself_in_chinese(writer: Writer) -> None:
    system = {"role": "system", "content": "你是一个乐于助人的 AI 助手。"}
    answer = say(writer, [system, user("你好!请介绍一下你自己。")])
    assert answer.startswith("你好!我是 Pocket,EngineBay 自带")
    assert answer.endswith("。")


def test_it_introduces_itself_in_english(writer: Writer) -> None:
    answer = say(writer, [user("Please introduce yourself.")])
    assert answer.startswith("I am Pocket, the tiny demo model")
    assert answer.endswith(".")


def test_it_calls_the_tool_and_uses_the_result(writer: Writer) -> None:
    asked = [user("What is the weather in Stockholm?")]
    answer = say(writer, asked, tools=[WEATHER])
    call = json.loads(answer.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
    assert call == {"name": "get_weather", "arguments": {"city": "Stockholm"}}
    made = {"role": "assistant", "content": None, "tool_calls": [{"function": call}]}
    result = {"role": "tool", "content": '{"temperature": 17, "condition": "cloudy"}'}
    answer = say(writer, [*asked, made, result], tools=[WEATHER])
    assert answer == "It is 17°C in Stockholm (cloudy)."


@pytest.mark.parametrize("question", ["What is EngineBay?", "EngineBay 是什么?"])
def test_it_thinks_only_when_asked_to(writer: Writer, question: str) -> None:
    assert "think" not in say(writer, [user(question)])
    thought, _, answer = say(writer, [user(question)], thinking=True).partition("</think>\n\n")
    assert thought.startswith("<think>\n")
    assert len(thought) > 20
    assert answer.startswith("EngineBay")


@pytest.mark.parametrize(
    ("question", "words"),
    [("Who was the first king of Sweden?", "tiny demo model"), ("谁发明了火药?", "演示模型")],
)
def test_it_admits_what_it_cannot_do(writer: Writer, question: str, words: str) -> None:
    assert words in say(writer, [user(question)])


def test_a_long_chat_keeps_working(writer: Writer) -> None:
    messages: list[Message] = []
    for question in ["Hello!", "What is EngineBay?", "How do I start the server?", "Thanks!"] * 4:
        messages.append(user(question))
        messages.append({"role": "assistant", "content": say(writer, messages)})
    assert messages[-1]["content"] == messages[7]["content"] == "You are welcome! Ask me any time."
    assert messages[-3]["content"] == messages[5]["content"]
