"""One exchange: what the user says, and what Pocket replies, step by step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Lang = Literal["en", "zh"]
Message = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call, with the result that the tool will give."""

    name: str
    arguments: Mapping[str, Any]
    result: str = ""

    def text(self) -> str:
        """The call as the model writes it."""
        body = json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)
        return f"<tool_call>\n{body}\n</tool_call>"

    def message(self) -> Message:
        """The call as the OpenAI API writes it."""
        arguments = json.dumps(self.arguments, ensure_ascii=False)
        return {"type": "function", "function": {"name": self.name, "arguments": arguments}}


@dataclass(frozen=True)
class Reply:
    """One assistant message: text, or calls, and the thought before it."""

    think: str
    text: str = ""
    calls: tuple[Call, ...] = ()

    def body(self) -> str:
        """What the model writes after its thought."""
        return self.text or "\n".join(call.text() for call in self.calls)

    def messages(self, thinking: bool) -> list[Message]:
        """The reply as history: the assistant message, then the results of its calls."""
        said: Message = {"role": "assistant", "content": self.text}
        if thinking:
            said["reasoning_content"] = self.think
        if self.calls:
            said["tool_calls"] = [call.message() for call in self.calls]
        return [said, *({"role": "tool", "content": call.result} for call in self.calls)]


@dataclass(frozen=True)
class Exchange:
    """A user message and the replies to it; all replies but the last are tool calls."""

    user: str
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Conversation:
    """What the model is given, and the reply that it should write.

    Training shows a `live` conversation as it ran, each reply after its own prompt, so that every
    reply teaches; otherwise earlier replies stand as history. `brief` keeps the reply's beginning.
    """

    messages: list[Message]
    reply: str
    tools: list[Message] = field(default_factory=list)
    thinking: bool = False
    live: bool = False
    brief: bool = False
