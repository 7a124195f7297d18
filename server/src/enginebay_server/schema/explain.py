"""``POST /explain``."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from enginebay_server.schema.chat import ChatRequest

LONGEST: Final = 1024
"""Tokens of an answer whose way is shown: each is told with its neighbours, and as an event."""


class ExplainRequest(ChatRequest):
    """A chat request whose way is shown: one answer, sent both whole and as a stream, with
    probabilities anyway.
    """

    n: Literal[1] = 1
    stream: Literal[False] = False
    logprobs: Literal[False] | None = None
    min_tokens: int | None = Field(default=None, ge=0, le=LONGEST)
    max_tokens: int | None = Field(default=None, ge=1, le=LONGEST)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=LONGEST)
