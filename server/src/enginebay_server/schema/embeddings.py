"""``POST /v1/embeddings``."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from enginebay_server.schema.common import MAX_TOKENS
from enginebay_server.schema.completions import TokenIds
from enginebay_server.schema.part import RequestPart

MAX_INPUTS: Final = 2048
"""OpenAI's."""


def _input_kind(value: Any) -> str:
    if not isinstance(value, list):
        return ":text"
    if value and isinstance(value[0], str):
        return ":texts"
    return ":id_lists" if value and isinstance(value[0], list) else ":ids"


Text = Annotated[str, Field(min_length=1)]
Input = Annotated[
    Annotated[Text, Tag(":text")]
    | Annotated[list[Text], Field(max_length=MAX_INPUTS), Tag(":texts")]
    | Annotated[TokenIds, Tag(":ids")]
    | Annotated[list[TokenIds], Field(max_length=MAX_INPUTS), Tag(":id_lists")],
    Discriminator(_input_kind),
]


class EmbeddingRequest(RequestPart):
    """One input or several, each a text or token ids; every one gets a vector."""

    model: str = Field(min_length=1, max_length=256)
    input: Input
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(
        default=None, ge=1, le=MAX_TOKENS, description="How many components of each vector."
    )
    user: str | None = Field(default=None, max_length=1024)

    @cached_property
    def inputs(self) -> list[str | list[int]]:
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input[0], int):
            return [[token for token in self.input if isinstance(token, int)]]
        return [one for one in self.input if not isinstance(one, int)]

    @property
    def places(self) -> list[str]:
        """Where each input stands in the request."""
        several = isinstance(self.input, list) and not isinstance(self.input[0], int)
        return [f"input[{index}]" for index in range(len(self.input))] if several else ["input"]
