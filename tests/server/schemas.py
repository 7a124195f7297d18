"""Twenty JSON Schemas as clients send them. Their values are short, so that even a model that knows
no end comes to one: lengths and counts are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

WORD: Final = {"type": "string", "maxLength": 8}
COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 99}


def an_object(required: bool = True, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required else [],
        "additionalProperties": False,
    }


def a_list(of: Any, most: int = 3) -> dict[str, Any]:
    return {"type": "array", "items": of, "maxItems": most}


SCHEMAS: Final[Mapping[str, dict[str, Any]]] = {
    "flat": an_object(name=WORD, age=COUNT),
    "every type": an_object(
        text=WORD,
        whole=COUNT,
        real={"type": "number", "minimum": 0, "maximum": 9},
        yes={"type": "boolean"},
        no={"type": "null"},
    ),
    "nested": an_object(user=an_object(name=WORD, home=an_object(city=WORD, number=COUNT))),
    "enum": an_object(colour={"enum": ["red", "green", "blau", "红"]}),
    "enum of all kinds": an_object(value={"enum": [1, "one", None, True, [1], {"a": 1}]}),
    "const": an_object(kind={"const": "cat"}, legs={"const": 4}),
    "optional": an_object(False, a=WORD, b=COUNT),
    "nullable": an_object(nick={"type": ["string", "null"], "maxLength": 5}),
    "any of": an_object(id={"anyOf": [COUNT, {"type": "string", "pattern": "^[a-f0-9]{4}$"}]}),
    "list of words": an_object(words=a_list(WORD)),
    "list of objects": an_object(items=a_list(an_object(name=WORD, price=COUNT), 2)),
    "list at least": an_object(
        numbers={"type": "array", "items": COUNT, "minItems": 2, "maxItems": 4}
    ),
    "tuple": an_object(
        point={"type": "array", "prefixItems": [COUNT, COUNT], "items": False, "minItems": 2}
    ),
    "pattern": an_object(plate={"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}),
    "formats": an_object(
        day={"type": "string", "format": "date"}, at={"type": "string", "format": "time"}
    ),
    "ranges": an_object(
        score={"type": "integer", "minimum": -5, "exclusiveMaximum": 5},
        share={"type": "number", "minimum": 0, "maximum": 1},
        dozen={"type": "integer", "multipleOf": 12, "minimum": 0, "maximum": 120},
    ),
    "references": {
        **an_object(home={"$ref": "#/$defs/place"}, work={"$ref": "#/$defs/place"}),
        "$defs": {"place": an_object(city=WORD)},
    },
    "recursive": {
        **an_object(tree={"$ref": "#/$defs/node"}),
        "$defs": {
            "node": an_object(
                value=COUNT,
                next={"anyOf": [{"type": "null"}, an_object(value=COUNT)]},
            )
        },
    },
    "odd names": an_object(**{"a b": WORD, "\u00fc": COUNT, '"': COUNT, "a/b~c": COUNT}),
    "other names": {
        "type": "object",
        "properties": {"id": COUNT},
        "required": ["id"],
        "patternProperties": {"^x_[a-z]{1,3}$": {"type": "boolean"}},
        "additionalProperties": False,
    },
}
