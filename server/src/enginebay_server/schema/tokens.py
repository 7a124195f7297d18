"""``POST /tokenize``, ``/detokenize`` and ``/render``."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.completions import TokenIds
from enginebay_server.schema.part import RequestPart


class TokenizeRequest(RequestPart):
    """A plain text, by vLLM's name or by llama.cpp's."""

    model: str = Field(min_length=1, max_length=256)
    prompt: str | None = None
    content: str | None = Field(default=None, description="The same as prompt.")
    add_special_tokens: bool = Field(
        default=True,
        description="Begin as the tokenizer begins a text, with <s> or the like.",
    )
    parse_special: bool | None = Field(
        default=None,
        description="Whether control tokens that the text spells are meant. Default: as in "
        "/v1/completions.",
    )
    return_token_strs: bool = False

    @field_validator("content")
    @classmethod
    def _one_name(cls, text: str | None, others: ValidationInfo) -> str | None:
        if text is not None and others.data.get("prompt") is not None:
            raise ValueError("prompt says the same; send one of them")
        return text

    @property
    def text(self) -> str | None:
        return self.content if self.prompt is None else self.prompt


class RenderRequest(ChatRequest):
    """A chat request, of which only the prompt is made."""

    add_generation_prompt: bool = Field(
        default=True, description="End where the assistant is to go on."
    )
    return_token_strs: bool = False


class DetokenizeRequest(RequestPart):
    """Ids of one text."""

    model: str = Field(min_length=1, max_length=256)
    tokens: TokenIds
