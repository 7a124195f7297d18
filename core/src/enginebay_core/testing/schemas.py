"""JSON Schemas whose values are short, each with a judge that knows nothing of schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from enginebay_core.api import FinishReason, Rule
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.expect import expect


@dataclass(frozen=True)
class Schema:
    """``allows`` says whether a parsed value is valid."""

    schema: Any
    allows: Callable[[Any], bool]


def _is_person(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and list(value) == ["name", "age", "tags"]
        and isinstance(value["name"], str)
        and len(value["name"]) <= 6
        and type(value["age"]) is int
        and 0 <= value["age"] <= 150
        and isinstance(value["tags"], list)
        and 1 <= len(value["tags"]) <= 2
        and all(tag in ("a", "bc") for tag in value["tags"])
    )


SCHEMAS: Final = (
    Schema(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 6},
                "age": {"type": "integer", "minimum": 0, "maximum": 150},
                "tags": {
                    "type": "array",
                    "items": {"enum": ["a", "bc"]},
                    "minItems": 1,
                    "maxItems": 2,
                },
            },
            "required": ["name", "age", "tags"],
            "additionalProperties": False,
        },
        _is_person,
    ),
    Schema({"type": "boolean"}, lambda value: isinstance(value, bool)),
    Schema(
        {"type": "string", "pattern": "^[0-9]{3}-[a-z]{2}$"},
        lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9]{3}-[a-z]{2}", value)),
    ),
    Schema(
        {"anyOf": [{"type": "null"}, {"enum": ["red", "rot", "红"]}]},
        lambda value: value in (None, "red", "rot", "红"),
    ),
)


def json_rule(schema: Schema, place: str) -> Rule:
    return Rule("json", json.dumps(schema.schema), place=place)


def expect_valid(bench: Bench, schema: Schema, answer: Answer) -> None:
    __tracebackhide__ = True
    text = bench.tokenizer.decode(answer.ids)
    expect(answer.finish == FinishReason.STOP, f"{text!r} ended with {answer.finish!r}, not 'stop'")
    expect(_holds(schema, text), f"{text!r} is not valid under {json.dumps(schema.schema)}")


def expect_call(bench: Bench, control: tuple[str, int] | None, answer: Answer) -> None:
    """What ``SCHEMAS[0]`` describes, in the brackets of ``TAG f(…)``, once or twice."""
    __tracebackhide__ = True
    tag, ids = ("", list(answer.ids)) if control else ("call", list(answer.ids))
    text = bench.tokenizer.decode([token for token in ids if not control or token != control[1]])
    values = _called(text, f"{tag} f(")
    expect(answer.finish == FinishReason.STOP, f"{text!r} ended with {answer.finish!r}, not 'stop'")
    expect(0 < len(values) <= 2, f"{text!r} is not one call or two")
    expect(all(map(SCHEMAS[0].allows, values)), f"{text!r} has a value that is not valid")
    if control:
        tags = [place for place, token in enumerate(ids) if token == control[1]]
        sound = len(tags) == len(values) and tags[0] == 0
        expect(sound, f"{control[0]!r} is missing or misplaced in {ids!r}")


def _called(text: str, opening: str) -> list[Any]:
    """The values of all calls; none where the text is something else."""
    values = []
    while text.startswith(opening):
        try:
            value, end = json.JSONDecoder().raw_decode(text, len(opening))
        except ValueError:
            return []
        values.append(value)
        text = text[end:]
        if text == ")":
            return values
        text = text.removeprefix(")\n")
    return []


def _holds(schema: Schema, text: str) -> bool:
    try:
        return schema.allows(json.loads(text))
    except ValueError:
        return False
