"""Which calls a request allows, and whether it forces one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from enginebay_core.api import RequestError, Support, UnsupportedField
from enginebay_core.placement import RunningModel
from enginebay_server.errors import quote
from enginebay_server.parsers import Dialect
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.tools import AllowedToolsChoice, NamedTool

FREE: Final = ("none", "auto")
FORCED: Final = ("required", "function", "allowed_tools")
"""What ``tool_choice`` can be: a word, or an object of that type."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``names`` are the functions that may be called; None: all that are offered. ``only_one``: no
    call after the first.
    """

    mode: Literal["none", "auto", "required"]
    names: frozenset[str] | None = None
    only_one: bool = False

    def allows(self, name: str) -> bool:
        return self.names is None or name in self.names


def read_choice(fields: ChatRequest) -> Choice:
    """Raises RequestError for a choice that contradicts the tools."""
    choice, alone = fields.tool_choice or "auto", fields.parallel_tool_calls is False
    if isinstance(choice, str):
        return _with_tools(fields, Choice(choice, only_one=alone))
    if isinstance(choice, NamedTool):
        name = choice.function.name
        _require_offered({"tool_choice.function.name": name}, fields)
        return _with_tools(fields, Choice("required", frozenset({name}), only_one=True))
    return _with_tools(fields, _allowed(choice, fields, only_one=alone))


def choices(model: RunningModel, dialect: Dialect) -> tuple[str, ...]:
    """What this model can be told."""
    return FREE if cannot_force(model, dialect) else (*FREE, *FORCED)


def cannot_force(model: RunningModel, dialect: Dialect) -> str | None:
    """Why a call cannot be forced, in words for the client."""
    capability = model.capabilities.of("tool_choice")
    if capability.support is Support.REFUSED:
        return capability.reason or "its engine keeps to no grammar"
    if dialect.call_form is None:
        return "no grammar is known for the way in which it writes calls"
    return None


def require_force(model: RunningModel, dialect: Dialect, param: str) -> None:
    """Raises UnsupportedField where outputs cannot be kept to calls."""
    reason = cannot_force(model, dialect)
    if reason:
        raise UnsupportedField(
            f"{param} is not supported by model {model.name!r}: {reason}.", param=param
        )


def _allowed(choice: AllowedToolsChoice, fields: ChatRequest, *, only_one: bool) -> Choice:
    place = "tool_choice.allowed_tools.tools"
    names = [tool.function.name for tool in choice.allowed_tools.tools]
    asked = {f"{place}[{index}].function.name": name for index, name in enumerate(names)}
    if not fields.tools:
        raise RequestError(
            f"{place} names tools, and the request has none; send them as tools.", param=place
        )
    _require_offered(asked, fields)
    return Choice(choice.allowed_tools.mode, frozenset(names), only_one)


def _with_tools(fields: ChatRequest, choice: Choice) -> Choice:
    if choice.mode == "required" and not fields.tools:
        raise RequestError(
            "tool_choice asks for a call, and there are no tools; send some.", param="tool_choice"
        )
    return choice


def _require_offered(names: Mapping[str, str], fields: ChatRequest) -> None:
    if not fields.tools:
        return
    offered = [tool.function.name for tool in fields.tools]
    for param, name in names.items():
        if name not in offered:
            known = ", ".join(map(quote, offered[:8]))
            raise RequestError(
                f"{param} is {quote(name)}, which is none of the tools ({known}).", param=param
            )
