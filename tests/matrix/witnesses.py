"""What the server does of a request by itself, proved over HTTP on every backend: for each field a
witness that asserts its defined effect, and for each refusal that it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.matrix import chat, routes
from tests.matrix.wire import HELLO, NAMED, QUESTION, SCHEMA, WEATHER, Wire

Check = Callable[[Wire], None]
Support = Literal["native", "emulated", "refused"]

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
RESPONSES: Final = "/v1/responses"


@dataclass(frozen=True)
class Witness:
    """``depends`` is the row of the model's own table that says whether it is done, None for what
    no model refuses, and ``value`` what that row must have among its values. ``sample`` is what
    is sent to see a refusal.
    """

    route: str
    label: str
    check: Check
    depends: str | None = None
    sample: Mapping[str, Any] | None = None
    value: str | None = None

    def support(self, wire: Wire) -> Support:
        if self.depends is None:
            return "native"
        row = wire.support[self.depends]
        if self.value is not None and self.value not in row.get("values", ()):
            return "refused"
        support: Support = row["support"]
        return support

    def prove(self, wire: Wire) -> None:
        """Raises where the model does not do what it says."""
        if self.support(wire) == "refused":
            assert self.sample is not None, f"{self.label} is refused, and no witness asks for it"
            wire.expect_refused(self.route.removeprefix("/v1"), self.sample)
        else:
            self.check(wire)


def forced(label: str, choice: Any, value: str) -> Witness:
    sample = {**OFFERED, "tool_choice": choice}
    return Witness(CHAT, f"tool_choice: {label}", chat.forced(choice), "tool_choice", sample, value)


def responding(label: str, check: Check, depends: str, **sample: Any) -> Witness:
    return Witness(RESPONSES, label, check, depends, {"input": HELLO, **sample})


OFFERED: Final = {"messages": QUESTION, "tools": [WEATHER]}
ONE_CALL: Final = {**OFFERED, "parallel_tool_calls": False}
ALLOWED: Final = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}
ANY_OBJECT: Final = {"response_format": {"type": "json_object"}}
THIS_OBJECT: Final = {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}
THINKING: Final = "chat_template_kwargs.enable_thinking"
THINK: Final = {"chat_template_kwargs": {"enable_thinking": True}}
TOP: Final = {"logprobs": True, "top_logprobs": 2}

WITNESSES: Final = (
    Witness(CHAT, "messages", chat.messages),
    Witness(CHAT, "stream", chat.stream),
    Witness(CHAT, "stream_options", chat.stream_options),
    Witness(CHAT, "max_completion_tokens", chat.max_completion_tokens),
    Witness(CHAT, "stop", chat.stop, "stop", {"stop": ["x"]}),
    Witness(CHAT, "n", chat.n, "n", {"n": 2}),
    Witness(CHAT, "logit_bias", chat.logit_bias, "logit_bias", {"logit_bias": {"5": 1}}),
    Witness(CHAT, "logprobs", chat.logprobs, "logprobs", {"logprobs": True}),
    Witness(CHAT, "top_logprobs", chat.top_logprobs, "top_logprobs", TOP),
    Witness(CHAT, "tools", chat.tools, "tools", OFFERED),
    Witness(CHAT, "tool_choice: none", chat.tool_choice_none, "tools", OFFERED),
    forced("required", "required", "required"),
    forced("a function", NAMED, "function"),
    forced("allowed_tools", ALLOWED, "allowed_tools"),
    Witness(CHAT, "parallel_tool_calls", chat.parallel_tool_calls, "parallel_tool_calls", ONE_CALL),
    Witness(CHAT, "response_format: json_object", chat.json_object, "response_format", ANY_OBJECT),
    Witness(CHAT, "response_format: json_schema", chat.json_schema, "response_format", THIS_OBJECT),
    Witness(
        CHAT,
        "reasoning_effort",
        chat.reasoning_effort,
        "reasoning_effort",
        {"reasoning_effort": "high"},
    ),
    Witness(CHAT, THINKING, chat.enable_thinking, THINKING, THINK),
    Witness(CHAT, "user", chat.user),
    Witness(COMPLETIONS, "prompt", routes.prompt),
    Witness(COMPLETIONS, "echo", routes.echo),
    Witness(
        COMPLETIONS, "logprobs", routes.logprobs, "top_logprobs", {"prompt": "x", "logprobs": 2}
    ),
    Witness(RESPONSES, "input, instructions", routes.response_input),
    Witness(RESPONSES, "stream", routes.response_stream),
    responding("tools", routes.response_tools, "tools", tools=[routes.OFFERED]),
    responding("text.format", routes.response_format, "response_format", text=routes.FORMAT),
    responding(
        "reasoning", routes.response_reasoning, "reasoning_effort", reasoning={"effort": "high"}
    ),
    Witness("/tokenize, /detokenize, /render", "all", routes.tokens),
)
