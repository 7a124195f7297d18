"""``response_format`` of a chat request."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from enginebay_core.api import JsonValue
from enginebay_server.schema.common import STRICT

KINDS: Final = ("text", "json_object", "json_schema")


class TextFormat(BaseModel):
    """No form at all."""

    model_config = STRICT

    type: Literal["text"]


class JsonObjectFormat(BaseModel):
    """Any JSON object."""

    model_config = STRICT

    type: Literal["json_object"]


class NamedSchema(BaseModel):
    """Kept to with and without ``strict``. Without a schema it is any JSON object."""

    model_config = STRICT

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = Field(default=None, max_length=65_536)
    json_schema: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(BaseModel):
    """JSON that is valid under a schema."""

    model_config = STRICT

    type: Literal["json_schema"]
    json_schema: NamedSchema


class UnknownFormat(BaseModel):
    """Takes nothing, to say what there is."""

    model_config = STRICT

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
