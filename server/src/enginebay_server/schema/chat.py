"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from enginebay_server.schema.common import MAX_TOKENS, GenerationFields
from enginebay_server.schema.part import RequestPart
from enginebay_server.schema.response_format import ResponseFormat
from enginebay_server.schema.tools import MAX_TOOLS, FunctionTool, ToolChoice

NOT_YET: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image_url": "images",
        "input_image": "images",
        "image": "images",
        "input_audio": "audio recordings",
        "audio_url": "audio recordings",
        "video_url": "videos",
        "file": "files",
        "input_file": "files",
    }
)
"""Content parts that other servers read, in words."""


class TextPart(RequestPart):
    """The one kind of content part that is understood."""

    sent_back = True

    type: Literal["text"]
    text: str

    @field_validator("type", mode="before")
    @classmethod
    def _refuse_other(cls, kind: Any) -> Any:
        if isinstance(kind, str) and kind in NOT_YET:
            raise ValueError(f"{NOT_YET[kind]} are not read yet; send text, as 'text'")
        return kind


def _content_kind(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Content = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[TextPart], Field(min_length=1, max_length=1024, fail_fast=True), Tag("parts")],
    Discriminator(_content_kind),
]


class FunctionCall(RequestPart):
    """``arguments`` is JSON text."""

    sent_back = True

    name: str = Field(min_length=1, max_length=256)
    arguments: str


class MessageToolCall(RequestPart):
    """A call that the assistant made in an earlier turn. Streams number their calls."""

    sent_back = True
    without_effect = frozenset({"index"})

    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(RequestPart):
    """One turn; which fields a role needs is checked where the conversation is made. Refusals and
    annotations are notes of earlier answers.
    """

    sent_back = True
    without_effect = frozenset({"refusal", "annotations"})
    not_done = MappingProxyType(
        {
            "function_call": "use tool_calls",
            "audio": "audio recordings are not read yet",
            "images": "images are not read yet",
            "prefix": "the assistant's turn is always a new one",
        }
    )

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = Field(default=None, max_length=256)
    tool_calls: list[MessageToolCall] | None = Field(default=None, max_length=128)
    tool_call_id: str | None = Field(default=None, max_length=256)
    reasoning_content: str | None = None
    reasoning: str | None = None

    @property
    def thinking(self) -> str | None:
        """By either of its names."""
        return self.reasoning_content or self.reasoning

    @property
    def text(self) -> str | None:
        """The content as one string; parts are joined with nothing between."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content


class TemplateSwitches(RequestPart):
    """The switches of a chat template that a client may set; never a template. Others than these
    need the operator's leave.
    """

    read_whole = True

    enable_thinking: bool | None = None


class ChatRequest(GenerationFields):
    """A conversation to continue with the assistant's turn."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=16_384, fail_fast=True)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(
        default=None, ge=0, le=20, description="How many; needs logprobs."
    )
    tools: list[FunctionTool] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    chat_template_kwargs: TemplateSwitches | None = None
    response_format: ResponseFormat | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _needs_logprobs(cls, wanted: int | None, others: ValidationInfo) -> int | None:
        if wanted and others.data.get("logprobs") in (None, False):
            raise ValueError("it needs logprobs to be true")
        return wanted

    @property
    def best_logprobs(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None
