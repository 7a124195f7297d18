"""``POST /v1/responses``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from enginebay_core.api import JsonValue
from enginebay_server.schema.common import MAX_TOKENS, SamplingFields
from enginebay_server.schema.part import RequestPart
from enginebay_server.schema.tools import MAX_TOOLS, FunctionName

ITEM_KINDS: Final = ("message", "function_call", "function_call_output", "reasoning")
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class _Item(RequestPart):
    """Ids and states of items that were sent back say nothing to a model."""

    sent_back = True

    id: str | None = Field(default=None, max_length=256)
    status: ItemStatus | None = None


class TextPart(RequestPart):
    """``annotations`` and ``logprobs`` are notes of an earlier answer."""

    sent_back = True

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[JsonValue] | None = None
    logprobs: list[JsonValue] | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _refuse_other(cls, kind: Any) -> Any:
        if kind not in ("input_text", "output_text"):
            raise ValueError("this server reads text only, as 'input_text' or 'output_text'")
        return kind


class RefusalPart(RequestPart):
    """What an assistant said instead of an answer."""

    sent_back = True

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


def _part_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return ":refusal" if kind == "refusal" else ":text"


Part = Annotated[
    Annotated[TextPart, Tag(":text")] | Annotated[RefusalPart, Tag(":refusal")],
    Discriminator(_part_kind),
]


def _text_or_list(value: Any) -> str:
    return ":list" if isinstance(value, list) else ":string"


Content = Annotated[
    Annotated[str, Tag(":string")] | Annotated[list[Part], Field(max_length=1024), Tag(":list")],
    Discriminator(_text_or_list),
]


def text_of(content: Content) -> str:
    """As one string; parts are joined with nothing between."""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content)


class MessageItem(_Item):
    """A turn, as one writes it or as an earlier response had it. ``phase`` is a client's label."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    phase: str | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _refuse_other(cls, kind: Any) -> Any:
        """Of any item: one left out would make another question."""
        if kind == "item_reference":
            raise ValueError("nothing is kept here that it could refer to; send the item itself")
        if kind != "message":
            raise ValueError(f"it should be one of {', '.join(map(repr, ITEM_KINDS))}")
        return kind


class CallItem(_Item):
    """A call that the model made. ``arguments`` is JSON text."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    arguments: str


class CallOutputItem(_Item):
    """What the call ``call_id`` gave."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1, max_length=256)
    output: Content


class ThoughtPart(RequestPart):
    """A piece of reasoning, or of a summary of it."""

    sent_back = True

    type: Literal["reasoning_text", "summary_text"]
    text: str


class ReasoningItem(_Item):
    """What the model thought. Another server may have sealed it, or told only a summary."""

    type: Literal["reasoning"]
    summary: list[ThoughtPart] | None = Field(default=None, max_length=1024)
    content: list[ThoughtPart] | None = Field(default=None, max_length=1024)
    encrypted_content: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content or self.summary or ())


def _item_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return f":{kind}" if isinstance(kind, str) and kind in ITEM_KINDS else ":message"


Item = Annotated[
    Annotated[MessageItem, Tag(":message")]
    | Annotated[CallItem, Tag(":function_call")]
    | Annotated[CallOutputItem, Tag(":function_call_output")]
    | Annotated[ReasoningItem, Tag(":reasoning")],
    Discriminator(_item_kind),
]


class FunctionTool(RequestPart):
    """A function that the model may call; ``parameters`` is a JSON Schema."""

    type: Literal["function"]
    name: FunctionName
    description: str | None = Field(default=None, max_length=65_536)
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class OtherTool(RequestPart):
    """A tool that OpenAI runs, or of a kind that models here cannot call: left out, and named."""

    read_whole = True

    type: str = Field(min_length=1, max_length=256)


def _tool_kind(value: Any) -> str:
    kind = value.get("type", "function") if isinstance(value, dict) else "function"
    return ":function" if kind == "function" else ":other"


Tool = Annotated[
    Annotated[FunctionTool, Tag(":function")] | Annotated[OtherTool, Tag(":other")],
    Discriminator(_tool_kind),
]


class NamedFunction(RequestPart):
    """The function that has to be called."""

    type: Literal["function"]
    name: FunctionName


class AllowedTools(RequestPart):
    """Only some of the tools may be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedFunction] = Field(min_length=1, max_length=MAX_TOOLS)


def _choice_kind(value: Any) -> str:
    if not isinstance(value, dict):
        return ":mode"
    return ":allowed" if value.get("type") == "allowed_tools" else ":named"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(":mode")]
    | Annotated[NamedFunction, Tag(":named")]
    | Annotated[AllowedTools, Tag(":allowed")],
    Discriminator(_choice_kind),
]


class Reasoning(RequestPart):
    """``effort`` is chat's ``reasoning_effort``. No summary is made: reasoning is told whole."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: Literal["auto"] | None = None
    mode: Literal["standard"] | None = None


class TextOptions(RequestPart):
    """``format`` is chat's ``response_format``, one level flatter."""

    format: dict[str, JsonValue] | None = None
    verbosity: str | None = None


class ResponseStreamOptions(RequestPart):
    """Nothing here is padded, so there is nothing to obfuscate."""

    include_obfuscation: bool | None = None


class CacheOptions(RequestPart):
    """Prefixes are reused by themselves."""

    prewarm: Literal[False] | None = None


Metadata = dict[
    Annotated[str, Field(max_length=64)],
    Annotated[str, Field(max_length=512)],
]


class ResponseRequest(SamplingFields):
    """A text or items to answer, with all that came before: nothing is kept between requests."""

    model: str = Field(min_length=1, max_length=256)
    input: Annotated[
        Annotated[str, Tag(":string")]
        | Annotated[
            list[Item], Field(min_length=1, max_length=16_384, fail_fast=True), Tag(":list")
        ],
        Discriminator(_text_or_list),
    ]
    instructions: str | None = None
    stream: bool = False
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    max_tool_calls: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    include: list[Annotated[str, Field(max_length=256)]] | None = Field(default=None, max_length=64)
    tools: list[Tool] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None
    metadata: Metadata | None = Field(default=None, max_length=16)
    prompt_cache_key: str | None = Field(default=None, max_length=1024)
    prompt_cache_options: CacheOptions | None = None
    safety_identifier: str | None = Field(default=None, max_length=1024)
    user: str | None = Field(default=None, max_length=1024)
