"""The fields that all endpoints that generate share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from enginebay_server.schema.part import RequestPart

MAX_TOKENS: Final = 2**31 - 1
StopText = Annotated[str, Field(min_length=1, max_length=1024)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class StreamOptions(RequestPart):
    """How a stream ends. Nothing here is padded, so there is nothing to obfuscate."""

    without_effect = frozenset({"include_obfuscation"})

    include_usage: bool = False


class SamplingFields(RequestPart):
    """Bounds are OpenAI's where OpenAI has the field, else those of the engines that do."""

    min_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)
    stop: Annotated[list[StopText] | None, BeforeValidator(_as_list)] = Field(
        default=None, max_length=4, description="A string or up to four."
    )
    ignore_eos: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(
        default=None, ge=-1, le=MAX_TOKENS, description="0 and -1 switch it off."
    )
    min_p: float | None = Field(default=None, ge=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, ge=0.01, le=10)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        default=None, max_length=4096, description="Token ids, as strings, to what is added."
    )
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)


class GenerationFields(SamplingFields):
    """What chat and plain completions share."""

    model: str = Field(min_length=1, max_length=256)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    n: int = Field(default=1, ge=1, le=128)
    user: str | None = Field(default=None, max_length=1024)

    @property
    def best_logprobs(self) -> int | None:
        """How many of the best tokens to tell beside each of the answer's; None: tell nothing."""
        return None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage
