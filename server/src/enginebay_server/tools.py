"""What a request asks of the model's tool calls, and how far this model can do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from enginebay_core.api import (
    GenerationRequest,
    Grammar,
    JsonValue,
    RequestError,
    Rule,
    Support,
    ThinkingSpan,
    UnsupportedField,
)
from enginebay_core.placement import RunningModel
from enginebay_server.answer_rule import answer_rule, binds, can_bind, thinking_span
from enginebay_server.parsers import CallReading, Dialect
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.tools import FunctionTool
from enginebay_server.tool_choice import Choice, read_choice

BAN: Final = -100.0


def no_thinking(prompt: Sequence[int]) -> ThinkingSpan | None:
    """Where there is no rule, none comes before one."""
    del prompt
    return None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """``shown`` is what the template sees. ``calls`` None: the answer is not searched for calls.
    ``banned`` are the ids that would begin one. ``rule`` is what the answer is kept to, after
    thinking as ``thinking`` finds it in a prompt. ``unheeded`` are fields without effect here.
    """

    shown: tuple[Mapping[str, JsonValue], ...] = ()
    calls: CallReading | None = None
    banned: frozenset[int] = frozenset()
    rule: Rule | None = None
    thinking: Callable[[Sequence[int]], ThinkingSpan | None] = no_thinking
    unheeded: tuple[str, ...] = ()

    def constrain(self, run: GenerationRequest) -> GenerationRequest:
        """The same generation, kept to what was asked for."""
        if self.banned:
            bias = {**run.sampling.logit_bias, **dict.fromkeys(self.banned, BAN)}
            run = replace(run, sampling=replace(run.sampling, logit_bias=bias))
        if self.rule is None:
            return run
        return replace(run, grammar=Grammar(self.rule, self.thinking(run.prompt)))


def tool_use(fields: ChatRequest, model: RunningModel, dialect: Dialect) -> ToolUse:
    """Raises RequestError for a choice that contradicts the tools or a schema that contradicts
    itself, UnsupportedField for what this model cannot be offered or kept to.
    """
    choice = read_choice(fields)
    use = _offer(fields, choice, model, dialect)
    rule = answer_rule(fields, choice, model, dialect)
    if rule is None:
        return use
    thinking = partial(thinking_span, model=model, dialect=dialect)
    return replace(use, rule=rule, thinking=thinking)


NO_TOOLS: Final = ToolUse()


def _offer(fields: ChatRequest, choice: Choice, model: RunningModel, dialect: Dialect) -> ToolUse:
    tools = fields.tools or []
    if not tools:
        return NO_TOOLS
    _require_unique(tools)
    if choice.mode == "none":
        return _without_calls(tuple(tool.for_template for tool in tools), model, dialect)
    reason = no_tools_reason(model, dialect)
    if reason:
        raise UnsupportedField(f"tools: {reason}.", param="tools")
    loose = binds(fields, choice) and choice.mode == "auto" and not can_bind(model, dialect)
    strict = any(tool.function.strict for tool in tools)
    shown = [tool for tool in tools if choice.allows(tool.function.name) or not loose]
    parameters = {tool.function.name: tool.function.parameters or {} for tool in tools}
    return ToolUse(
        tuple(tool.for_template for tool in shown),
        CallReading(parameters, only_one=choice.only_one),
        unheeded=("tools[].function.strict",) if loose and strict else (),
    )


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
