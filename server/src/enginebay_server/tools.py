"""What a request asks of the model's tool calls, and how far this model can do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from enginebay_core.api import (
    GenerationRequest,
    JsonValue,
    RequestError,
    Support,
    UnsupportedField,
)
from enginebay_core.placement import RunningModel
from enginebay_server.parsers import CallReading, Dialect
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.tools import FunctionTool

CHOICES: Final = ("none", "auto")
"""What ``tool_choice`` can be."""

BAN: Final = -100.0


@dataclass(frozen=True, slots=True)
class ToolUse:
    """``shown`` is what the template sees. ``calls`` None: the answer is not searched for calls.
    ``banned`` are the ids that would begin one.
    """

    shown: tuple[Mapping[str, JsonValue], ...] = ()
    calls: CallReading | None = None
    banned: frozenset[int] = frozenset()

    def constrain(self, run: GenerationRequest) -> GenerationRequest:
        """The same generation, kept from what was not asked for."""
        if not self.banned:
            return run
        bias = {**run.sampling.logit_bias, **dict.fromkeys(self.banned, BAN)}
        return replace(run, sampling=replace(run.sampling, logit_bias=bias))


NO_TOOLS: Final = ToolUse()


def tool_use(fields: ChatRequest, model: RunningModel, dialect: Dialect) -> ToolUse:
    """Raises RequestError for a choice that contradicts the tools, UnsupportedField for tools
    that this model cannot be offered.
    """
    tools = fields.tools or []
    choice = fields.tool_choice or "auto"
    if choice not in CHOICES:
        raise _not_forced(fields)
    if not tools:
        return NO_TOOLS
    _require_unique(tools)
    shown = tuple(tool.for_template for tool in tools)
    if choice == "none":
        return _without_calls(shown, model, dialect)
    reason = no_tools_reason(model, dialect)
    if reason:
        raise UnsupportedField(f"tools: {reason}.", param="tools")
    parameters = {tool.function.name: tool.function.parameters or {} for tool in tools}
    return ToolUse(shown, CallReading(parameters, only_one=fields.parallel_tool_calls is False))


def no_tools_reason(model: RunningModel, dialect: Dialect) -> str | None:
    """Why tools cannot be offered to this model, in words for the client."""
    if not model.template.tools:
        return "this model's chat template drops them; leave them out"
    if dialect.tools is None:
        return (
            "nobody here can read the calls that this model's template writes; its config can "
            "name a tool_parser"
        )
    return None


def _not_forced(fields: ChatRequest) -> RequestError:
    if not fields.tools:
        return RequestError(
            "tool_choice asks for a call, and there are no tools; send some.", param="tool_choice"
        )
    asked = "'required'" if fields.tool_choice == "required" else "a certain function"
    return UnsupportedField(
        f"tool_choice is {asked}: this version does not constrain the output; use 'auto' and say "
        "in a message what to call.",
        param="tool_choice",
    )


def _without_calls(
    shown: tuple[Mapping[str, JsonValue], ...], model: RunningModel, dialect: Dialect
) -> ToolUse:
    """Where a control token begins each call, it is banned, and the prompt is that of the turns
    before; else the model is not told of the tools.
    """
    opening = dialect.tools.opening if dialect.tools else ()
    control = model.tokenizer.control
    can_ban = model.capabilities.of("logit_bias").support is not Support.REFUSED
    bannable = can_ban and bool(opening) and all(tag in control for tag in opening)
    if not (bannable and model.template.tools):
        return NO_TOOLS
    return ToolUse(shown, banned=frozenset(control[tag] for tag in opening))


def _require_unique(tools: Sequence[FunctionTool]) -> None:
    seen: dict[str, int] = {}
    for index, tool in enumerate(tools):
        first = seen.setdefault(tool.function.name, index)
        if first != index:
            param = f"tools[{index}].function.name"
            raise RequestError(
                f"{param} is {tool.function.name!r}, as is that of tools[{first}]; give each a "
                "name of its own.",
                param=param,
            )
