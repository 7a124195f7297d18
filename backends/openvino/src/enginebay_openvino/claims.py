"""What openvino-genai does of a request, and why it is not asked for the rest."""

from __future__ import annotations

from typing import Final

from enginebay_core.api import Capabilities, Capability, Support

NATIVE: Final = (
    "max_tokens",
    "min_tokens",
    "ignore_eos",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "seed",
    "logprobs",
)
EMULATED: Final = ("n", "stop")

NEGATIVE: Final = "openvino-genai raises an id by it instead, where the id's logit is below zero"

LACKING: Final = {
    "presence_penalty": NEGATIVE,
    "frequency_penalty": NEGATIVE,
    "logit_bias": "openvino-genai has no bias of single ids",
    "top_logprobs": "openvino-genai tells the log probability of the chosen id alone",
}

GRAMMARS: Final = ("response_format", "tool_choice")
UNSPELLED: Final = "its tokenizer is none of which openvino-genai could make a grammar"


def claims(*, spelled: bool) -> Capabilities:
    """``spelled``: the pipeline knows what the ids spell, and so can keep to grammars."""
    native = (*NATIVE, *GRAMMARS) if spelled else NATIVE
    lacking = LACKING if spelled else {**LACKING, **dict.fromkeys(GRAMMARS, UNSPELLED)}
    return Capabilities(
        {
            **dict.fromkeys(native, Capability(Support.NATIVE)),
            **dict.fromkeys(EMULATED, Capability(Support.EMULATED)),
            **{name: Capability(Support.REFUSED, reason=why) for name, why in lacking.items()},
        }
    )
