"""Tools, as a chat request offers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    model_validator,
)

from enginebay_core.api import JsonValue
from enginebay_server.schema.part import RequestPart

MAX_TOOLS: Final = 128
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class FunctionDefinition(RequestPart):
    """``parameters`` is a JSON Schema, which is shown to the model as it is."""

    name: FunctionName
    description: str | None = Field(default=None, max_length=65_536)
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class FunctionTool(RequestPart):
    """A function that the model may call. Its template is shown all that was sent."""

    read_whole = True

    type: Literal["function"]
    function: FunctionDefinition
    _as_sent: Mapping[str, JsonValue] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, sent: Any, check: ModelWrapValidatorHandler[FunctionTool]) -> FunctionTool:
        tool = check(sent)
        if isinstance(sent, Mapping):
            tool._as_sent = sent
        return tool

    @property
    def for_template(self) -> dict[str, JsonValue]:
        """As it was sent, its keys in that order, less ``strict``, which is no description, and
        what is null, which is absent.
        """
        function = self._as_sent["function"]
        assert isinstance(function, Mapping), "checked when the tool was read"
        described: dict[str, JsonValue] = {
            key: value for key, value in function.items() if key != "strict" and value is not None
        }
        return {**self._as_sent, **{"function": described}}


class NamedFunction(RequestPart):
    """Which function."""

    name: FunctionName


class NamedTool(RequestPart):
    """The function that has to be called."""

    type: Literal["function"]
    function: NamedFunction


class AllowedTools(RequestPart):
    """``tools`` name some of those that the request offers."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MAX_TOOLS)


class AllowedToolsChoice(RequestPart):
    """Only some of the tools may be called."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _choice_kind(value: Any) -> str:
    if isinstance(value, AllowedToolsChoice):
        return ":allowed"
    if not isinstance(value, dict):
        return "named" if isinstance(value, NamedTool) else "mode"
    return ":allowed" if value.get("type") == "allowed_tools" else "named"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")]
    | Annotated[NamedTool, Tag("named")]
    | Annotated[AllowedToolsChoice, Tag(":allowed")],
    Discriminator(_choice_kind),
]
