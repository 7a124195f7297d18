"""How the next id is chosen: parameters of a request, and what a sampler sees and returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from enginebay_core.api.errors import RequestError


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Frozen and checked when made: a value out of range raises RequestError naming the field.

    ``temperature`` 0 is greedy. ``top_k`` 0, ``top_p`` 1 and ``min_p`` 0 switch their rule off.
    ``repetition_penalty`` counts prompt and output (CTRL, arXiv:1909.05858);
    ``presence_penalty`` and ``frequency_penalty`` count the output alone (OpenAI's formula).
    ``logit_bias`` is added to the logits by id. ``seed`` None lets core draw one.
    ``logprobs`` None asks for none; k asks for the sampled id's and the k best.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    logprobs: int | None = None

    def __post_init__(self) -> None:
        _require_between("temperature", self.temperature, 0.0, 100.0)
        _require_between("top_p", self.top_p, 0.0, 1.0, above_low=True)
        _require_between("top_k", self.top_k, 0, 2**31 - 1)
        _require_between("min_p", self.min_p, 0.0, 1.0)
        _require_between("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _require_between("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        _require_between("repetition_penalty", self.repetition_penalty, 0.0, 10.0, above_low=True)
        _require_between("seed", self.seed or 0, -(2**63), 2**63 - 1)
        _require_between("logprobs", self.logprobs or 0, 0, 2**31 - 1)
        for token, bias in self.logit_bias.items():
            _require_between(f"logit_bias[{token}]", bias, -100.0, 100.0)

    @property
    def counts_ids(self) -> bool:
        """Whether the choice depends on which ids came before."""
        return (
            self.presence_penalty != 0
            or self.frequency_penalty != 0
            or self.repetition_penalty != 1
        )


def _require_between(
    name: str, value: float, low: float, high: float, *, above_low: bool = False
) -> None:
    inside = low < value <= high if above_low else low <= value <= high
    if not (math.isfinite(value) and inside):
        sign = ">" if above_low else ">="
        raise RequestError(
            f"{name} is {value!r}; it must be {sign} {low} and <= {high}", param=name
        )


class SamplerMemory:
    """A box that lives and dies with one sequence, for what a sampler keeps between its steps.

    ``kept`` belongs to the sampler alone; core makes the box and never looks inside.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: Any = None


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of logits to choose from.

    ``index`` is the row in the logits that ``forward`` returned. ``prompt`` and ``output`` are
    live views of the sequence, not copies: read them during the call only. ``len(output)`` is the
    output index of the id to choose. ``params.seed`` is never None here. ``banned`` may not be
    chosen in this step (stop ids before ``min_tokens``). ``mask``, where given, holds one bit per
    id, little end first, ceil(vocab / 32) words of int32; a zero bit bans the id.
    """

    index: int
    params: SamplingParams
    prompt: Sequence[int]
    output: Sequence[int]
    choice: int = 0
    banned: frozenset[int] = frozenset()
    mask: npt.NDArray[np.int32] | None = None
    memory: SamplerMemory = field(default_factory=SamplerMemory)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural log of the id's probability under the model's own, unmodified distribution."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """The chosen id. ``logprob`` and ``top`` (best first, ties to the lowest id) are filled only
    where the row's ``params.logprobs`` asked.
    """

    id: int
    logprob: float | None = None
    top: tuple[TokenLogprob, ...] = ()
