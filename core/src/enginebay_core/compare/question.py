"""What both models are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enginebay_core.api import Conversation, Message
from enginebay_core.placement import RunningModel
from enginebay_core.text import frame_of

TEXTS: Final = (
    "Count from one to twenty in words.",
    "你好!请介绍一下你自己。",
    "Write a short poem about the sea.",
    "What is the capital of France, and why?",
    "def fibonacci(n):",
    "列出五种水果。",
    "Tell me a story about a dragon who learns to read.",
    "Explain how a bicycle stays upright.",
    "What is 12 + 30?",
    "Name three colours and something that has each.",
    "怎样泡一杯好茶?",
    "Who are you?",
    "Translate 'good morning' into French.",
    "How do I sort a list in Python?",
    "What will the weather be like tomorrow?",
    "今天是星期几?",
)


@dataclass(frozen=True, slots=True)
class Question:
    """``title`` is for people. ``converse`` makes the conversation for one model, and raises
    RequestError for what that model cannot be told.
    """

    title: str
    converse: Callable[[RunningModel], Conversation]

    def prompt(self, model: RunningModel) -> tuple[int, ...]:
        """Its ids. To a model without a chat template a lone text goes as it is. Raises
        RequestError.
        """
        conversation = self.converse(model)
        text = _lone_text(conversation)
        if text is None or model.template.chat:
            return model.tokenizer.render(conversation).ids
        return tuple(frame_of(model.tokenizer).begin(model.tokenizer.encode(text)))


def ask_text(text: str) -> Question:
    return ask(text, Message("user", text))


def ask(title: str, *messages: Message) -> Question:
    conversation = Conversation(messages)
    return Question(title, lambda model: conversation)


def bundled_questions() -> list[Question]:
    """Short ones in two languages, a system message, a third turn, and one of some hundred tokens,
    in which wrong positions and wrongly cut prompts show.
    """
    greeting = Message("user", "Hello!"), Message("assistant", "Hello! How can I help you?")
    system = Message("system", "你是一个乐于助人的 AI 助手。")
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(TEXTS * 2, 1))
    return [
        *map(ask_text, TEXTS),
        ask("(system message) Who are you?", system, Message("user", "Who are you?")),
        ask("(third turn) What can you do?", *greeting, Message("user", "What can you do?")),
        ask("(long) Answer the last of these.", Message("user", f"{listed}\nAnswer the last one.")),
    ]


def _lone_text(conversation: Conversation) -> str | None:
    messages = conversation.messages
    lone = len(messages) == 1 and messages[0].role == "user" and not conversation.tools
    return messages[0].content if lone else None
