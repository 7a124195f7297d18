"""What is known about request fields beyond those that are honoured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from enginebay_core.api import JsonValue


@dataclass(frozen=True, slots=True)
class Refusal:
    """``neutral`` are the values that ask for nothing and are taken as absent."""

    reason: str
    neutral: tuple[JsonValue, ...] = ()

    def asks_for_nothing(self, value: JsonValue) -> bool:
        """``False`` is not 0 here, as in JSON."""
        return any(type(value) is type(same) and value == same for same in self.neutral)


NO_EFFECT: Final = frozenset(
    {
        "user",
        "store",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""OpenAI's fields that cannot change an answer: accepted, and without effect."""

_OLD_TOOLS: Final = "use tools and tool_choice"
_TEXT_ONLY: Final = "this server reads and writes text only"
_RESPONSE_FORMAT: Final = "use response_format, in a chat, with a JSON Schema"

REFUSED: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "functions": Refusal(_OLD_TOOLS, ([],)),
        "function_call": Refusal(_OLD_TOOLS, ("none", "auto")),
        "prompt_logprobs": Refusal("only the answer's own tokens have log probabilities"),
        "response_format": Refusal(
            "it belongs to a chat; use /v1/chat/completions", ({"type": "text"},)
        ),
        "modalities": Refusal(_TEXT_ONLY, (["text"],)),
        "audio": Refusal(_TEXT_ONLY),
        "prediction": Refusal("predicted outputs are not supported"),
        "web_search_options": Refusal("this server does not search the web"),
        "verbosity": Refusal("say in a message how long the answer should be", ("medium",)),
        "suffix": Refusal("put the model's own fill-in-the-middle tokens into the prompt", ("",)),
        "best_of": Refusal("use n and choose yourself", (1,)),
        "echo": Refusal("it belongs to /v1/completions", (False,)),
        "add_generation_prompt": Refusal("the assistant's turn is always opened", (True,)),
        "continue_final_message": Refusal("the assistant's turn is always a new one", (False,)),
    }
)
"""OpenAI's fields, and common ones, that this version does not honour and must not ignore."""

_SAMPLER: Final = "the samplers here are temperature, top_k, top_p, min_p and the three penalties"
_TEMPLATE: Final = "the model's own template is used; only its enable_thinking can be set"
_CHAT_ONLY: Final = "it belongs to a chat; use /v1/chat/completions"

ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "guided_json",
                "guided_regex",
                "guided_choice",
                "guided_grammar",
                "guided_decoding_backend",
                "guided_whitespace_pattern",
                "structured_outputs",
                "structural_tag",
                "grammar",
                "json_schema",
                "regex",
                "ebnf",
                "format",
            ),
            _RESPONSE_FORMAT,
        ),
        **dict.fromkeys(
            (
                "typical_p",
                "mirostat",
                "mirostat_mode",
                "mirostat_tau",
                "mirostat_eta",
                "tfs_z",
                "top_a",
                "eta_cutoff",
                "epsilon_cutoff",
                "dynatemp_range",
                "dynatemp_exponent",
                "xtc_probability",
                "xtc_threshold",
                "smoothing_factor",
                "dry_multiplier",
                "dry_base",
                "dry_allowed_length",
                "top_n_sigma",
                "no_repeat_ngram_size",
                "length_penalty",
                "early_stopping",
                "use_beam_search",
                "num_beams",
                "do_sample",
                "samplers",
            ),
            _SAMPLER,
        ),
        "repeat_penalty": "use repetition_penalty",
        "repeat_last_n": "repetition_penalty looks at the whole sequence",
        "max_new_tokens": "use max_tokens",
        "max_length": "use max_tokens",
        "n_predict": "use max_tokens",
        "num_predict": "use max_tokens",
        "num_ctx": "the context length is set in the server's config",
        "random_seed": "use seed",
        "stop_token_ids": "use stop",
        "stop_sequences": "use stop",
        "include_stop_str_in_output": "the stop string is never part of the answer",
        "bad_words": "use logit_bias",
        "allowed_token_ids": "use logit_bias",
        "skip_special_tokens": "control tokens are never part of the answer",
        "spaces_between_special_tokens": "control tokens are never part of the answer",
        "truncate_prompt_tokens": "shorten the prompt yourself",
        "chat_template": _TEMPLATE,
        "documents": _TEMPLATE,
        "prompt_embeds": "send text or token ids",
        "mm_processor_kwargs": _TEXT_ONLY,
        "lora": "configure the model in the server's config",
        "logits_processors": "use logit_bias",
        "options": "send the fields themselves",
    }
)
"""Names that other servers honour and that change answers, with what to do here instead."""

_SYSTEM: Final = "send a message with the role 'system'"
_IN_CHAT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("system", "system_prompt", "instructions"), _SYSTEM),
        **dict.fromkeys(("prompt", "input"), "use messages"),
        **dict.fromkeys(("thinking", "reasoning"), "use chat_template_kwargs.enable_thinking"),
        "enable_thinking": "put it into chat_template_kwargs",
        "max_output_tokens": "use max_completion_tokens",
        "add_special_tokens": "the chat template decides",
    }
)
_IN_COMPLETIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("messages", "tools", "tool_choice", "parallel_tool_calls"),
                *("reasoning_effort", "reasoning", "thinking", "enable_thinking"),
                "chat_template_kwargs",
            ),
            _CHAT_ONLY,
        ),
        **dict.fromkeys(("system", "system_prompt", "instructions"), "put it into prompt"),
        **dict.fromkeys(("max_completion_tokens", "max_output_tokens"), "use max_tokens"),
        "input": "use prompt",
        "top_logprobs": "in a completion logprobs is the number",
    }
)


@dataclass(frozen=True, slots=True)
class KnownFields:
    """Names that an endpoint knows beside those that it honours."""

    refused: Mapping[str, Refusal]
    elsewhere: Mapping[str, str]
    without_effect: frozenset[str]


CHAT_FIELDS: Final = KnownFields(REFUSED, MappingProxyType({**ELSEWHERE, **_IN_CHAT}), NO_EFFECT)
COMPLETION_FIELDS: Final = KnownFields(
    REFUSED, MappingProxyType({**ELSEWHERE, **_IN_COMPLETIONS}), NO_EFFECT
)
