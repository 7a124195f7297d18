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


LARGEST: Final = 1e15
SMALLEST: Final = 1e-9
"""Numbers within these have an end; without bounds a model may write digits for ever."""


def narrow(schema: Any) -> Any:
    """What is valid under the result is valid under ``schema``, and comes to an end. Objects with
    ``properties`` get no others, and numbers no more digits than anybody needs, unless the schema
    speaks of others. One that puts values together from several places stays as it is.
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
    return {**_digits(schema), **closed}


def _digits(schema: Mapping[str, Any]) -> dict[str, float]:
    """Bounds for numbers that have none, where they contradict none."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if not ("number" in kinds or "integer" in kinds) or "enum" in schema or "const" in schema:
        return {}
    low = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    high = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    bounds: dict[str, float] = {"multipleOf": SMALLEST} if "number" in kinds else {}
    if not low and all(_within(bound) for bound in high):
        bounds["minimum"] = -LARGEST
    if not high and all(_within(bound) for bound in low):
        bounds["maximum"] = LARGEST
    return bounds


def _within(bound: Any) -> bool:
    return isinstance(bound, int | float) and -LARGEST < bound < LARGEST
