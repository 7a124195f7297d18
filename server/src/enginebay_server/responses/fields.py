"""What is known about fields of a response request beyond those that are honoured."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from enginebay_server.fields import ELSEWHERE, NO_EFFECT, KnownFields, Refusal
from enginebay_server.schema.responses import ResponseRequest

_NOT_KEPT: Final = "nothing is kept between requests; send the earlier items in input"

_REFUSED: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "previous_response_id": Refusal(_NOT_KEPT),
        "conversation": Refusal(_NOT_KEPT),
        "prompt": Refusal("no prompts are kept here; send input and instructions"),
        "background": Refusal("a response is made while its client waits", (False,)),
        "truncation": Refusal(
            "what is too long for the model is refused, never cut; shorten the input",
            ("disabled",),
        ),
        "context_management": Refusal("shorten the input yourself", ([],)),
        "n": Refusal("one response is made at a time", (1,)),
        "moderation": Refusal("this server does not moderate"),
    }
)

_IN_CHAT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "messages": "use input",
        "max_tokens": "use max_output_tokens",
        "max_completion_tokens": "use max_output_tokens",
        "max_new_tokens": "use max_output_tokens",
        "max_length": "use max_output_tokens",
        "n_predict": "use max_output_tokens",
        "num_predict": "use max_output_tokens",
        "reasoning_effort": "use reasoning.effort",
        "response_format": "use text.format",
        "verbosity": "use text.verbosity",
        "logprobs": "use include: ['message.output_text.logprobs'], and top_logprobs",
        "functions": "use tools",
        "function_call": "use tool_choice",
        "system": "use instructions",
        "system_prompt": "use instructions",
        "thinking": "use reasoning.effort",
        "enable_thinking": "put it into chat_template_kwargs",
        "add_special_tokens": "the chat template decides",
    }
)

RESPONSE_FIELDS: Final = KnownFields(
    refused=_REFUSED,
    elsewhere=MappingProxyType(
        {
            name: hint
            for name, hint in {**ELSEWHERE, **_IN_CHAT}.items()
            if name not in ResponseRequest.model_fields
        }
    ),
    without_effect=NO_EFFECT | {"client_metadata"},
)
