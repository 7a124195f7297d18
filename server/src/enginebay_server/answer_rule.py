"""What an answer is to be like, as a rule that an engine can keep to."""

from __future__ import annotations

import json
from collections.abc import Sequence

from enginebay_core.api import JsonValue, Rule, Support, ThinkingSpan, UnsupportedField
from enginebay_core.placement import RunningModel
from enginebay_core.text import token_bytes
from enginebay_server.parsers import NO_PARAMETERS, Dialect, Offered
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.response_format import JsonSchemaFormat, TextFormat
from enginebay_server.schema.tools import FunctionTool
from enginebay_server.tool_choice import Choice, require_force

SCHEMA_PLACE = "response_format.json_schema.schema"


def answer_rule(
    fields: ChatRequest, choice: Choice, model: RunningModel, dialect: Dialect
) -> Rule | None:
    """None where any text will do. Raises RequestError for what cannot be kept to."""
    tools = [] if choice.mode == "none" else fields.tools or []
    if choice.mode == "required":
        require_force(model, dialect, "tool_choice")
        return _calls(tools, choice, model, dialect, strictly=True)
    content = _content(fields, model)
    if content is not None and tools:
        require_force(model, dialect, "tools")
        return Rule("choice", parts=(content, _calls(tools, choice, model, dialect)))
    if content is None and tools and binds(fields, choice) and can_bind(model, dialect):
        calls = _calls(tools, choice, model, dialect)
        perhaps = Rule("choice", parts=(Rule("sequence"), calls))
        return Rule("sequence", parts=(Rule("free"), perhaps))
    return content


def binds(fields: ChatRequest, choice: Choice) -> bool:
    """Whether calls that the model makes on its own are to be kept to something."""
    strict = any(tool.function.strict for tool in fields.tools or ())
    return strict or (choice.names is not None and choice.mode == "auto")


def can_bind(model: RunningModel, dialect: Dialect) -> bool:
    """Whether it shows by a control token, which no text can spell, where a call begins."""
    opening = dialect.tools.opening if dialect.tools else ()
    known = bool(opening) and all(tag in model.tokenizer.control for tag in opening)
    can_force = model.capabilities.of("tool_choice").support is not Support.REFUSED
    return known and can_force and dialect.call_form is not None


def thinking_span(
    prompt: Sequence[int], model: RunningModel, dialect: Dialect
) -> ThinkingSpan | None:
    """Thinking that comes before the answer; None where the prompt has closed it, or the model's
    template knows of none.
    """
    tags = dialect.thinking
    if tags is None:
        return None
    if tags.open_at_end(prompt):
        return ThinkingSpan(tags.opening, tags.closing, begun=True)
    may_think = model.template.thinking or model.template.reasoning
    if not may_think or _closed_at_end(prompt, tags.closing, model):
        return None
    return ThinkingSpan(tags.opening, tags.closing, begun=False)


def _closed_at_end(prompt: Sequence[int], closing: int, model: RunningModel) -> bool:
    """Whether nothing but blanks follows the tag."""
    for token in reversed(prompt):
        if token == closing:
            return True
        if token_bytes(model.tokenizer, token).strip():
            break
    return False


def _content(fields: ChatRequest, model: RunningModel) -> Rule | None:
    wanted = fields.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        return None
    capability = model.capabilities.of("response_format")
    if capability.support is Support.REFUSED:
        reason = f": {capability.reason}" if capability.reason else ""
        raise UnsupportedField(
            f"response_format is not supported by model {model.name!r}{reason}.",
            param="response_format",
        )
    schema: dict[str, JsonValue] | None = None
    if isinstance(wanted, JsonSchemaFormat):
        schema = wanted.json_schema.json_schema
    place = "response_format" if schema is None else SCHEMA_PLACE
    text = json.dumps({"type": "object"} if schema is None else schema, ensure_ascii=False)
    return Rule("json", text, place=place)


def _calls(
    tools: Sequence[FunctionTool],
    choice: Choice,
    model: RunningModel,
    dialect: Dialect,
    *,
    strictly: bool = False,
) -> Rule:
    """``strictly``: the arguments keep to their schema, of whatever function."""
    form = dialect.call_form
    assert form is not None, "asked for before"
    offered = [
        _offered(index, tool, strictly=strictly or bool(tool.function.strict) or not form.loose)
        for index, tool in enumerate(tools)
        if choice.allows(tool.function.name)
    ]
    return form.rule(offered, model.tokenizer.control, only_one=choice.only_one)


def _offered(index: int, tool: FunctionTool, *, strictly: bool) -> Offered:
    function = tool.function
    parameters = NO_PARAMETERS if function.parameters is None else function.parameters
    place = f"tools[{index}].function.parameters"
    return Offered(function.name, place, parameters if strictly else None)
