"""What the keywords of a JSON Schema are about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

KINDS: Final[Mapping[str, tuple[type, frozenset[str]]]] = {
    "null": (type(None), frozenset()),
    "boolean": (bool, frozenset()),
    "integer": (int, frozenset()),
    "number": (
        float,
        frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    ),
    "string": (str, frozenset({"minLength", "maxLength", "pattern", "format"})),
    "array": (list, frozenset({"items", "prefixItems", "minItems", "maxItems"})),
    "object": (
        dict,
        frozenset({"properties", "required", "additionalProperties", "patternProperties"}),
    ),
}
"""Types, and the keywords that are about values of each alone."""

KEYWORDS: Final = frozenset(
    {"type", "$ref", "const", "enum", "anyOf", "oneOf", "allOf"}.union(
        *(words for _, words in KINDS.values())
    )
)
NOTES: Final = frozenset(
    {
        *("title", "description", "default", "examples", "$schema", "$id", "$comment"),
        *("deprecated", "readOnly", "writeOnly", "$defs", "definitions"),
    }
)
"""They describe, and say nothing of values."""

_DATE: Final = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
_TIME: Final = (
    '([0-1] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})?'
    ' ("Z" | [+-] ("0" [0-9] | "1" [0-3]) ":" [0-5] [0-9])'
)
_LABEL: Final = "[a-z0-9]{1,16}"
_ENDING: Final = "[a-z]{2,6}"
_HEX: Final = "[0-9a-f]"

FORMATS: Final[Mapping[str, str]] = {
    "date": f"({_DATE})",
    "time": f"({_TIME})",
    "date-time": f'({_DATE} "T" {_TIME})',
    "email": f'({_LABEL} ("." {_LABEL})? "@" {_LABEL} "." {_ENDING} ("." {_ENDING})?)',
    "uuid": f'({_HEX}{{8}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{12}})',
    "ipv4": '(octet "." octet "." octet "." octet)'.replace(
        "octet", '([1-9]? [0-9] | "1" [0-9] [0-9] | "2" [0-4] [0-9] | "25" [0-5])'
    ),
}


def kind_of(value: Any) -> set[str]:
    """The types that a value has: a whole number is a number too."""
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return {"integer", "number"}
    return {kind for kind, (of, _) in KINDS.items() if isinstance(value, of)}


def excluding(branches: Sequence[Any]) -> bool:
    """Whether no value can be valid under two of these schemas: they differ in type, in constants,
    or in those of a property that each requires.
    """
    return all(_differ(one, other) for one, other in itertools.combinations(branches, 2))


def _differ(one: Any, other: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    if _values(one) is not None and _values(other) is not None:
        return not any(a == b for a in _values(one) or () for b in _values(other) or ())
    mine, others = _types(one), _types(other)
    if mine and others and mine.isdisjoint(others):
        return True
    shared = set(one.get("required") or ()) & set(other.get("required") or ())
    return any(_differ(_property(one, name), _property(other, name)) for name in shared)


def _property(schema: Mapping[str, Any], name: Any) -> Any:
    properties = schema.get("properties")
    return properties.get(name) if isinstance(properties, Mapping) else None


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema["enum"] if isinstance(schema.get("enum"), list) else None


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Empty where nothing says."""
    values = _values(schema)
    if values is not None:
        return set().union(*map(kind_of, values))
    named = schema.get("type", [])
    kinds = {kind for kind in (named if isinstance(named, list) else [named]) if kind in KINDS}
    return kinds | ({"integer"} if "number" in kinds else set())
