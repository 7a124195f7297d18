"""Whether this model can do what the fields ask, and exactly what that is. Nothing is ignored in
silence: a field is honoured, refused by name, or named back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from enginebay_core.api import (
    ContextLengthExceeded,
    GenerationRequest,
    JsonValue,
    RequestError,
    SamplingParams,
    Support,
    UnsupportedField,
)
from enginebay_core.placement import RunningModel
from enginebay_server.errors import quote
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.common import GenerationFields
from enginebay_server.unheeded import header_list, ignored_names

GREEDY_BELOW: Final = 1e-6
"""Temperatures under this are taken as 0: dividing by them would overflow."""

NEUTRAL: Final[Mapping[str, JsonValue]] = {
    "n": 1,
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repetition_penalty": 1,
    "logit_bias": {},
    "min_tokens": 0,
    "ignore_eos": False,
}
"""Values that ask for nothing, so that a model without the field can take them."""

SAMPLING: Final = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What one request asked for, complete but for its prompt. ``max_tokens`` None: it asked for
    no certain length.
    """

    sampling: SamplingParams
    max_tokens: int | None
    min_tokens: int
    stop: tuple[str, ...]
    stop_ids: frozenset[int]
    n: int
    ignored: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()

    def without(self, unheeded: tuple[str, ...], *, reject: bool) -> Admitted:
        """The same, less fields that turned out to have no effect on this model. Raises
        UnsupportedField where these are rejected.
        """
        if unheeded and reject:
            name = unheeded[0]
            raise UnsupportedField(f"{name} has no effect here; remove it.", param=name)
        return replace(self, ignored=(*self.ignored, *unheeded)) if unheeded else self

    @property
    def headers(self) -> dict[str, str]:
        """The response headers that say what was not done as asked, or not by the engine."""
        headers = {}
        if self.ignored:
            headers["x-enginebay-ignored"] = header_list(self.ignored)
        if self.emulated:
            headers["x-enginebay-emulated"] = header_list(self.emulated)
        return headers


def admit(fields: GenerationFields, model: RunningModel, *, reject_unknown: bool) -> Admitted:
    """Raises RequestError for the first field that this model or this server will not honour."""
    if model.embeddings is not None:
        raise UnsupportedField(
            f"model {model.name!r} makes vectors and no text; use /v1/embeddings.",
            param="model",
        )
    ignored = tuple(dict.fromkeys(ignored_names(fields, model, reject=reject_unknown)))
    asked = _asked_for(fields)
    emulated = tuple(name for name in asked if _require(name, asked[name], model, fields))
    _check_pairs(asked, model)
    return Admitted(
        sampling=_sampling(fields, model),
        max_tokens=token_limit(fields),
        min_tokens=fields.min_tokens or 0,
        stop=tuple(fields.stop or ()),
        stop_ids=frozenset() if fields.ignore_eos else model.stop_ids,
        n=fields.n,
        ignored=ignored,
        emulated=emulated,
    )


def fit(
    admitted: Admitted,
    prompt: tuple[int, ...],
    model: RunningModel,
    *,
    longest: int,
    param: str,
    tenant: str,
) -> list[GenerationRequest]:
    """The ``n`` generations of one prompt. ``longest`` bounds them where neither request nor model
    sets max_tokens; ``param`` is where the prompt came from; no prefix is shared with another
    ``tenant``. Raises ContextLengthExceeded.
    """
    limit = model.generator.limits.context_length
    room = limit - len(prompt)
    if room < 1:
        raise ContextLengthExceeded(
            f"This model's context is {limit} tokens and the prompt alone has {len(prompt)}; "
            "shorten it.",
            param=param,
        )
    wanted = admitted.max_tokens
    if wanted is not None and wanted > room:
        raise ContextLengthExceeded(
            f"This model's context is {limit} tokens. The prompt has {len(prompt)} and max_tokens "
            f"asks for {wanted} more, {len(prompt) + wanted} together; shorten the prompt or lower "
            "max_tokens.",
            param=param,
        )
    max_tokens = wanted if wanted is not None else min(room, model.defaults.max_tokens or longest)
    _require_minimum(admitted.min_tokens, max_tokens)
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=admitted.sampling,
            stop_ids=admitted.stop_ids,
            min_tokens=admitted.min_tokens,
            choice=choice,
            cache_salt=tenant,
        )
        for choice in range(admitted.n)
    ]


def _require_minimum(min_tokens: int, max_tokens: int) -> None:
    if min_tokens > max_tokens:
        raise RequestError(
            f"min_tokens is {min_tokens} and the answer can have {max_tokens} tokens at most; "
            "lower min_tokens.",
            param="min_tokens",
        )


def _asked_for(fields: GenerationFields) -> dict[str, Any]:
    """Fields that depend on the engine, where they ask for something."""
    asked = {}
    for name in (*SAMPLING, "stop", "ignore_eos", "logit_bias", "seed", "n", "min_tokens"):
        value = getattr(fields, name)
        neutral = value is None or (name in NEUTRAL and value == NEUTRAL[name])
        if not (neutral or (name == "top_k" and value == -1)):
            asked[name] = value
    if token_limit(fields) is not None:
        asked["max_tokens"] = token_limit(fields)
    if fields.best_logprobs is not None:
        asked["logprobs"] = True
    if fields.best_logprobs:
        asked["top_logprobs"] = fields.best_logprobs
    return asked


def _require(name: str, value: Any, model: RunningModel, fields: GenerationFields) -> bool:
    """Whether the field is emulated. Raises UnsupportedField, or RequestError over a limit."""
    capability = model.capabilities.of(name)
    if name == "top_logprobs" and name not in type(fields).model_fields:
        name = "logprobs"  # a completion has one field for both
    if capability.support is Support.REFUSED:
        reason = f": {capability.reason}" if capability.reason else ""
        raise UnsupportedField(
            f"{name} is not supported by model {model.name!r}{reason}.", param=name
        )
    limit = capability.maximum
    if limit is not None and isinstance(value, int | float) and value > limit:
        raise RequestError(
            f"{name} is {value!r}; model {model.name!r} takes at most {limit:g}.", param=name
        )
    return capability.support is Support.EMULATED


def _check_pairs(asked: Mapping[str, Any], model: RunningModel) -> None:
    for one, other in model.capabilities.forbidden:
        if one in asked and other in asked:
            raise UnsupportedField(
                f"model {model.name!r} cannot take {one} and {other} together; drop one.", param=one
            )


def _sampling(fields: GenerationFields, model: RunningModel) -> SamplingParams:
    values = {name: _resolved(name, fields, model) for name in SAMPLING}
    given = {name: value for name, value in values.items() if value is not None}
    if given.get("temperature", 1.0) < GREEDY_BELOW:
        given["temperature"] = 0.0
    if given.get("top_p") == 0:
        given["top_p"] = math.ulp(0.0)  # the smallest mass: the most likely token alone
    if given.get("top_k") == -1:
        given["top_k"] = 0
    bias = _bias(fields.logit_bias or {}, model.generator.limits.vocab_size)
    return SamplingParams(**given, logit_bias=bias, seed=fields.seed, logprobs=fields.best_logprobs)


def _resolved(name: str, fields: GenerationFields, model: RunningModel) -> Any:
    """The request's value, else the model's default where its engine can honour it."""
    value = getattr(fields, name)
    if value is None and model.capabilities.of(name).support is not Support.REFUSED:
        return getattr(model.defaults, name)
    return value


def _bias(bias: Mapping[str, float], vocab_size: int) -> dict[int, float]:
    for key in bias:
        if not (key.isascii() and key.isdigit() and len(key) < 12 and int(key) < vocab_size):
            raise RequestError(
                f"logit_bias has the key {quote(key)}; keys are token ids from 0 to "
                f"{vocab_size - 1}, as strings.",
                param="logit_bias",
            )
    return {int(key): value for key, value in bias.items() if value}


def token_limit(fields: GenerationFields) -> int | None:
    """``max_tokens`` by either of its names."""
    newer = fields.max_completion_tokens if isinstance(fields, ChatRequest) else None
    older = fields.max_tokens
    if newer is not None and older is not None and newer != older:
        raise RequestError(
            f"max_tokens is {older} and max_completion_tokens is {newer}; they mean the same, send "
            "one of them.",
            param="max_tokens",
        )
    return newer if newer is not None else older
