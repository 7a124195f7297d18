"""How much a client may ask for: of everybody, and of each key."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Bounds(BaseModel):
    """The ``[server.limits]`` table. What the protocol bounds itself can be lowered here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int = Field(900, ge=1, description="Open connections; more are answered 503.")
    header_bytes: int = Field(
        65_536, ge=1024, description="Request line and headers together; more is answered 431."
    )
    headers: int = Field(100, ge=10, description="Headers of a request; more is answered 431.")
    read_seconds: float = Field(
        15.0, gt=0, description="A whole request must arrive in this time, or is answered 408."
    )
    request_seconds: float = Field(
        3600.0, gt=0, description="Time after which an answer is ended, however far it is."
    )
    sequences: int = Field(
        1024, ge=1, description="Sequences of all models that run or wait; more are answered 503."
    )
    lookups: int = Field(
        64,
        ge=1,
        description="Requests at once to /tokenize, /detokenize and /render; more are answered "
        "503.",
    )
    body_pieces: int = Field(16_384, ge=1, description="Pieces in which a body may arrive.")
    depth: int = Field(64, ge=4, le=256, description="Levels that the JSON of a body may nest.")
    items: int = Field(
        524_288, ge=64, description="Entries of all lists and objects of a body, names counted."
    )
    fields: int = Field(128, ge=64, description="Fields of a request, known or not.")
    messages: int = Field(
        16_384, ge=1, le=16_384, description="Messages of a chat, or items of a response's input."
    )
    choices: int = Field(
        128, ge=1, le=128, description="Answers to one request: n, for each prompt."
    )
    max_tokens: int = Field(
        2**31 - 1, ge=1, le=2**31 - 1, description="What a request may set max_tokens to."
    )
    stop_strings: int = Field(4, ge=0, le=4, description="Stop strings of a request.")
    stop_length: int = Field(1024, ge=1, le=1024, description="Characters of a stop string.")
    tools: int = Field(128, ge=0, le=128, description="Tools of a request.")


class PerKey(BaseModel):
    """The ``[server.per_key]`` table: what each key may use. Without keys all clients share one
    allowance. None: as much as there is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int | None = Field(None, ge=1, description="Requests that ask for work.")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="Tokens of prompts and answers together."
    )
    concurrent_requests: int | None = Field(None, ge=1, description="Requests at the same time.")

    @property
    def any(self) -> bool:
        return any(value is not None for value in self.model_dump().values())
