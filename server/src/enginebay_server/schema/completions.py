"""``POST /v1/completions``, for a prompt that needs no template."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from enginebay_server.schema.common import MAX_TOKENS, GenerationFields

TokenIds = Annotated[
    list[Annotated[int, Field(ge=0, le=MAX_TOKENS)]],
    Field(min_length=1, max_length=4_194_304, fail_fast=True),
]


def _prompt_kind(value: Any) -> str:
    if not isinstance(value, list):
        return "text"
    if value and isinstance(value[0], str):
        return "texts"
    return "id_lists" if value and isinstance(value[0], list) else "ids"


PromptField = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")]
    | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=128), Tag("texts")]
    | Annotated[TokenIds, Tag("ids")]
    | Annotated[list[TokenIds], Field(max_length=128), Tag("id_lists")],
    Discriminator(_prompt_kind),
]


class CompletionRequest(GenerationFields):
    """One prompt or several, each a text or token ids; every prompt gets ``n`` choices."""

    prompt: PromptField
    logprobs: int | None = Field(default=None, ge=0, le=5, description="How many of the best.")
    echo: bool = Field(default=False, description="Begin each text with its prompt.")
    add_special_tokens: bool = Field(
        default=True,
        description="Begin a text prompt as the tokenizer begins a text, with <s> or the like.",
    )

    @cached_property
    def prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        return [prompt for prompt in self.prompt if not isinstance(prompt, int)]

    @property
    def choices(self) -> int:
        return len(self.prompts) * self.n

    @property
    def places(self) -> list[str]:
        """Where each prompt stands in the request."""
        several = isinstance(self.prompt, list) and not isinstance(self.prompt[0], int)
        return [f"prompt[{index}]" for index in range(len(self.prompt))] if several else ["prompt"]

    @property
    def best_logprobs(self) -> int | None:
        return self.logprobs
