"""What a backend lets the operator choose, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from enginebay_core.api import EngineOptions

_BOUNDS: Final = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
}


@dataclass(frozen=True, slots=True)
class OptionDoc:
    """``type`` is a JSON type with its bounds, or the values there are."""

    name: str
    type: str
    required: bool
    default: Any
    description: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def option_docs(options: type[EngineOptions]) -> list[OptionDoc]:
    schema = options.model_json_schema()
    required = schema.get("required", [])
    return [
        OptionDoc(
            name,
            describe_type(field, schema.get("$defs", {})),
            name in required,
            field.get("default"),
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def describe_type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A property of a JSON Schema in a few words: ``integer >= 1 | null``."""
    if "$ref" in field:
        return describe_type(definitions[field["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in field:
        return " | ".join(describe_type(choice, definitions) for choice in field["anyOf"])
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    bounds = [f"{sign} {field[key]:g}" for key, sign in _BOUNDS.items() if key in field]
    inner = field.get("items")
    of = f" of {describe_type(inner, definitions)}" if inner else ""
    return " ".join([str(field.get("type", "any")) + of, *bounds])
