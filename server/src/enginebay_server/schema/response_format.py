"""``response_format`` of a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from enginebay_core.api import JsonValue
from enginebay_server.schema.part import RequestPart

KINDS: Final = ("text", "json_object", "json_schema")

_NO_SCHEMA: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("schema", "json_schema"), "only the type 'json_schema' has a schema")
)


class TextFormat(RequestPart):
    """No form at all."""

    not_done = _NO_SCHEMA

    type: Literal["text"]


class JsonObjectFormat(RequestPart):
    """Any JSON object."""

    not_done = _NO_SCHEMA

    type: Literal["json_object"]


class NamedSchema(RequestPart):
    """Kept to with and without ``strict``. Without a schema it is any JSON object."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = Field(default=None, max_length=65_536)
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(RequestPart):
    """JSON that is valid under a schema."""

    not_done = MappingProxyType({"schema": "it belongs into json_schema, beside the name"})

    type: Literal["json_schema"]
    json_schema: NamedSchema


class UnknownFormat(RequestPart):
    """Takes nothing, to say what there is."""

    type: Literal["text", "json_object", "json_schema"]


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f":{kind}" if kind in KINDS else ":unknown"


ResponseFormat = Annotated[
    Annotated[TextFormat, Tag(":text")]
    | Annotated[JsonObjectFormat, Tag(":json_object")]
    | Annotated[JsonSchemaFormat, Tag(":json_schema")]
    | Annotated[UnknownFormat, Tag(":unknown")],
    Discriminator(_kind),
]
