"""A request in openvino-genai's words."""

from __future__ import annotations

import secrets
from typing import Any, Final

import openvino_genai as genai

from enginebay_core.api import GenerationRequest, SamplingParams, noise_key

NEVER: Final = 2**31 - 1
"""An id that no model makes."""


def generation_config(request: GenerationRequest) -> Any:
    """What a request leaves out is off here too: the pipeline fills an absent eos_token_id from
    the checkpoint, refuses where that has none, and ours are all that may end a text.
    """
    config = genai.GenerationConfig()
    config.max_new_tokens = request.max_tokens
    config.set_eos_token_id(min(request.stop_ids, default=NEVER))
    if request.stop_ids:
        config.min_new_tokens = request.min_tokens
        config.stop_token_ids = set(request.stop_ids)
    else:
        config.ignore_eos = True
    config.logprobs = 0 if request.sampling.logprobs is None else 1
    config.repetition_penalty = request.sampling.repetition_penalty
    draw(config, request.sampling, request.choice)
    return config


def keep_to(config: Any, grammar: str, stop_ids: frozenset[int]) -> None:
    """EBNF that the whole output follows. Where it is complete one of ``stop_ids`` must come, so
    that there has to be one.
    """
    config.ignore_eos = False
    config.min_new_tokens = 0
    config.set_eos_token_id(min(stop_ids))
    config.stop_token_ids = set(stop_ids)
    part = genai.StructuredOutputConfig.EBNF(grammar)  # kept by its text; a bare grammar is not
    config.structured_output_config = genai.StructuredOutputConfig(structural_tags_config=part)


def draw(config: Any, sampling: SamplingParams, choice: int) -> None:
    """Each choice of a seed draws on its own. A min_p of 1, which the pipeline refuses, leaves
    the best alone.
    """
    config.do_sample = sampling.temperature > 0 and sampling.min_p < 1
    if not config.do_sample:
        return
    config.temperature = sampling.temperature
    config.top_p = sampling.top_p
    config.min_p = sampling.min_p
    if sampling.top_k:
        config.top_k = sampling.top_k
    seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
    high, low = noise_key(seed, choice, 0)
    config.rng_seed = high << 32 | low
