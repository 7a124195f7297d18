"""Which OpenAI request fields a loaded model honours, and up to where."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

GENERATION_FIELDS: Final = (
    "max_tokens",
    "min_tokens",
    "stop",
    "ignore_eos",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tool_choice",
)
"""The fields whose honouring depends on the engine. All others are the server's own affair."""

GRAMMAR_FIELDS: Final = ("response_format", "tool_choice")
"""Those that come to an engine as ``GenerationRequest.grammar``: of one JSON value, and of JSON
among texts and control tokens."""

NO_GRAMMARS: Final = (
    "the engine's environment lacks llguidance: pip install 'enginebay-core[structured]'"
)


class Support(StrEnum):
    """NATIVE: the engine, or core's scheduler and sampler, do it. EMULATED: core does it over a
    foreign scheduler (``n`` and ``stop`` only). REFUSED: sending it is a 400 that names it.
    """

    NATIVE = "native"
    EMULATED = "emulated"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Capability:
    """``maximum`` bounds the field's value where it is a number; ``reason`` says why it is
    refused, in words for the client.
    """

    support: Support
    maximum: float | None = None
    reason: str | None = None


REFUSED: Final = Capability(Support.REFUSED)


@dataclass(frozen=True)
class Capabilities:
    """Declared per loaded model, proved by the contract kit. A field that is not declared is
    refused. ``forbidden`` lists pairs of fields that cannot be sent together.
    """

    fields: Mapping[str, Capability]
    forbidden: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.fields) - set(GENERATION_FIELDS)
        if unknown:
            raise ValueError(f"not generation fields: {sorted(unknown)!r}")
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    def of(self, field: str) -> Capability:
        return self.fields.get(field, REFUSED)


def step_capabilities() -> Capabilities:
    """What core's scheduler and sampler do over any step engine."""
    native = Capability(Support.NATIVE)
    limited = {"n": Capability(Support.NATIVE, maximum=128)}
    limited["top_logprobs"] = Capability(Support.NATIVE, maximum=20)
    if importlib.util.find_spec("llguidance") is None:
        limited |= dict.fromkeys(GRAMMAR_FIELDS, Capability(Support.REFUSED, reason=NO_GRAMMARS))
    return Capabilities({name: limited.get(name, native) for name in GENERATION_FIELDS})
