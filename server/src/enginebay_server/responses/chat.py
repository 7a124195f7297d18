"""A response request as the chat request that asks the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from enginebay_core.api import UnsupportedField
from enginebay_server.responses.fields import RESPONSE_FIELDS
from enginebay_server.responses.names import Names
from enginebay_server.responses.turns import Turns
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.common import SamplingFields
from enginebay_server.schema.reading import read
from enginebay_server.schema.responses import (
    AllowedTools,
    FunctionTool,
    NamedFunction,
    OtherTool,
    ReasoningItem,
    ResponseRequest,
)
from enginebay_server.unheeded import unknown_names

LOGPROBS: Final = "message.output_text.logprobs"


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """``names`` are those of the response request; ``ignored`` what of it no chat could ask."""

    fields: ChatRequest
    names: Names
    ignored: tuple[str, ...]


def chat_turn(fields: ResponseRequest, *, reject_unknown: bool) -> ChatTurn:
    """Raises RequestError for what no chat here could be asked, and must not be ignored."""
    ignored = (*unknown_names(fields, RESPONSE_FIELDS, reject=reject_unknown), *_left_out(fields))
    if reject_unknown and ignored:
        raise UnsupportedField(f"{ignored[0]} has no effect here; remove it.", param=ignored[0])
    turns = Turns(fields.instructions)
    if isinstance(fields.input, str):
        turns.messages.append({"role": "user", "content": fields.input})
        turns.places[f"messages[{len(turns.messages) - 1}]"] = "input"
    else:
        for index, item in enumerate(fields.input):
            turns.add(item, f"input[{index}]")
    names = Names({**turns.places, **_tool_places(fields), **_choice_places(fields)})
    with names.spoken():
        return ChatTurn(read(ChatRequest, _chat_body(fields, turns)), names, ignored)


def _chat_body(fields: ResponseRequest, turns: Turns) -> dict[str, Any]:
    text, reasoning = fields.text, fields.reasoning
    return {
        **{name: getattr(fields, name) for name in SamplingFields.model_fields},
        "model": fields.model,
        "stream": fields.stream,
        "messages": turns.messages,
        "max_completion_tokens": fields.max_output_tokens,
        "tools": [_chat_tool(tool) for tool in fields.tools or () if _is_function(tool)],
        "tool_choice": _chat_choice(fields),
        "parallel_tool_calls": fields.parallel_tool_calls,
        "reasoning_effort": reasoning.effort if reasoning else None,
        "response_format": None if text is None else _response_format(text.format),
        "verbosity": text.verbosity if text else None,
        "chat_template_kwargs": fields.chat_template_kwargs,
        "logprobs": LOGPROBS in (fields.include or ()) or bool(fields.top_logprobs),
        "top_logprobs": fields.top_logprobs,
        "user": fields.user,
    }


def _is_function(tool: BaseModel) -> bool:
    return isinstance(tool, FunctionTool)


def _chat_tool(tool: BaseModel) -> dict[str, Any]:
    names = {"name", "description", "parameters", "strict"}
    return {"type": "function", "function": tool.model_dump(include=names, exclude_none=True)}


def _tool_places(fields: ResponseRequest) -> dict[str, str]:
    """Kinds that are left out shift the others."""
    kept = [index for index, tool in enumerate(fields.tools or ()) if _is_function(tool)]
    return {
        f"tools[{chat}]{part}": f"tools[{index}]"
        for chat, index in enumerate(kept)
        for part in ("", ".function")
    }


def _choice_places(fields: ResponseRequest) -> dict[str, str]:
    choice = fields.tool_choice
    allowed = choice.tools if isinstance(choice, AllowedTools) else ()
    return {
        f"tool_choice.allowed_tools.tools[{index}].function": f"tool_choice.tools[{index}]"
        for index, _ in enumerate(allowed)
    }


def _chat_choice(fields: ResponseRequest) -> Any:
    choice = fields.tool_choice
    if isinstance(choice, NamedFunction):
        return _named(choice)
    if isinstance(choice, AllowedTools):
        allowed = {"mode": choice.mode, "tools": [_named(tool) for tool in choice.tools]}
        return {"type": choice.type, choice.type: allowed}
    return choice


def _named(function: NamedFunction) -> dict[str, Any]:
    return {"type": "function", "function": {"name": function.name}}


def _response_format(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Here the schema lies beside the type, in a chat one level deeper."""
    if wanted is None:
        return None
    if wanted.get("type") != "json_schema":
        return dict(wanted)
    schema = {name: value for name, value in wanted.items() if name != "type"}
    return {"type": "json_schema", "json_schema": schema}


def _left_out(fields: ResponseRequest) -> Iterator[str]:
    """What is known and not done; each kind once."""
    yield from dict.fromkeys(_not_done(fields))


def _not_done(fields: ResponseRequest) -> Iterator[str]:
    for tool in fields.tools or ():
        if isinstance(tool, OtherTool):
            yield f"tools[{tool.type}]"
    yield from (f"include[{name}]" for name in fields.include or () if name != LOGPROBS)
    if fields.reasoning and (fields.reasoning.summary or fields.reasoning.generate_summary):
        yield "reasoning.summary"
    for item in () if isinstance(fields.input, str) else fields.input:
        if isinstance(item, ReasoningItem) and item.encrypted_content and not item.text:
            yield "input[reasoning].encrypted_content"
