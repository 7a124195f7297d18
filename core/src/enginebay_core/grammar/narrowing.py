"""What a schema leaves open without saying so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

COMBINING: Final = ("$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas")
"""Keywords that may add properties to an object from elsewhere."""

OPENING: Final = ("additionalProperties", "patternProperties", "unevaluatedProperties")
"""Keywords that say of other properties than the named ones."""

DATA: Final = ("const", "enum", "default", "examples")
"""Keywords whose values are no schemas."""


def close_objects(schema: Any) -> Any:
    """Objects with ``properties`` get no others, unless the schema speaks of others: a value that
    is valid then is valid under ``schema``, and a model does not invent names for ever. A schema
    that puts objects together from several places stays as it is.
    """
    return schema if any(map(_combines, _objects(schema))) else _close(schema)


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for below in schema.values():
            yield from _objects(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _objects(below)


def _combines(schema: Mapping[str, Any]) -> bool:
    return "allOf" in schema or ("properties" in schema and any(key in schema for key in COMBINING))


def _close(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_close(below) for below in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {key: below if key in DATA else _close(below) for key, below in schema.items()}
    named = isinstance(schema.get("properties"), Mapping)
    if named and not any(key in schema for key in OPENING):
        closed["additionalProperties"] = False
    return closed
