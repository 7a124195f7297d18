"""JSON Schemas as EBNF. A keyword that cannot be kept to is refused by name.

What comes out is valid under the schema, and need not be all that is: objects get no properties
that are not named, numbers an end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from enginebay_core.api import RequestError
from enginebay_openvino.grammar.cost import states
from enginebay_openvino.grammar.ebnf import Ebnf, choice, literal, sequence, shorten, times
from enginebay_openvino.grammar.numbers import Bounds, real, whole
from enginebay_openvino.grammar.pattern import UNPLAIN, NotKept, one_of, write_pattern
from enginebay_openvino.grammar.shape import FORMATS, KEYWORDS, KINDS, NOTES, excluding, kind_of

SELECTING: Final = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""Keywords that say by themselves what a value is."""

_UNUSUAL: Final = re.compile("[\x7f-\x9f\ue000-\uefff]")

MOST: Final = 4096
"""Characters of a string, entries of a list, multiples of a number."""
MOST_OPTIONAL: Final = 256
"""Properties of one object that may be left out: each id looks at all that may come next."""
MOST_BRANCHES: Final = 256
"""Schemas of which each is compared with each other."""
MOST_STATES: Final = 160
MOST_CHARACTERS: Final = 2**19
"""Of the grammar that a request's schemas make. Both are well under ten seconds of two cores."""


class SchemaWriter:
    """Of one schema, which came from the request field ``place``."""

    def __init__(self, ebnf: Ebnf, schema: Any, place: str) -> None:
        self._ebnf = ebnf
        self._root = schema
        self._place = place
        self._named: dict[str, str] = {}
        self._blank = ebnf.define("blank", r'([ ] | "\n" [ ]{0,16})?')
        plain = one_of(UNPLAIN, other=True)
        self._character = ebnf.define("character", rf'({plain} | "\\" ["\\/bfnrt])')

    def write(self) -> str:
        """Raises RequestError."""
        written = self._value(self._root)
        if states(self._ebnf.rules) > MOST_STATES:
            self._lacks("too many different lengths, formats and patterns of strings")
        return written

    def _value(self, schema: Any) -> str:
        if schema is True or schema == {}:
            return self._anything()
        if not isinstance(schema, Mapping):
            self._refuse("says false somewhere" if schema is False else "has a schema that is none")
        if self._ebnf.size > MOST_CHARACTERS:
            self._lacks("too many different properties, values and ranges")
        self._check_names(schema)
        for keyword in SELECTING:
            if keyword in schema:
                return self._selected(keyword, schema)
        kinds = self._kinds(schema)
        if kinds is None:
            return self._anything()
        return choice([self._of_kind(kind, schema) for kind in kinds])

    def _check_names(self, schema: Mapping[str, Any]) -> None:
        for name in schema:
            if name not in KEYWORDS and name not in NOTES and not name.startswith("x-"):
                self._lacks(name)

    def _selected(self, keyword: str, schema: Mapping[str, Any]) -> str:
        typed = keyword in ("const", "enum")
        for name in schema:
            if name in KEYWORDS and name != keyword and not (typed and name == "type"):
                self._lacks(f"{name} beside {keyword}")
        body = schema[keyword]
        if keyword == "$ref":
            return self._referred(body)
        body = [body] if keyword == "const" else body
        if not isinstance(body, list) or not body:
            self._refuse(f"has {keyword} without a list of what it may be")
        return self._one_of(body, schema) if typed else self._combined(keyword, body)

    def _combined(self, keyword: str, body: Sequence[Any]) -> str:
        if keyword == "allOf" and len(body) > 1:
            self._lacks("allOf of several schemas")
        if keyword == "oneOf" and len(body) > MOST_BRANCHES:
            self._lacks(f"oneOf of more than {MOST_BRANCHES} schemas")
        if keyword == "oneOf" and not excluding(body):
            self._lacks("oneOf whose schemas do not exclude each other by type or by a constant")
        return choice([self._value(one) for one in body])

    def _one_of(self, values: Sequence[Any], schema: Mapping[str, Any]) -> str:
        kinds = self._kinds({"type": schema["type"]} if "type" in schema else {})
        fitting = [one for one in values if kinds is None or kind_of(one) & set(kinds)]
        if not fitting:
            self._refuse("has values that are not of its type")
        return choice([_constant(one) for one in fitting])

    def _referred(self, name: Any) -> str:
        if not isinstance(name, str) or not name.startswith("#"):
            self._lacks("$ref to another document")
        if name not in self._named:
            self._named[name] = self._ebnf.name()
            self._ebnf.define(self._named[name], self._value(self._resolve(name)))
        return self._named[name]

    def _resolve(self, name: str) -> Any:
        found = self._root
        for part in name[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            inside = found.get(key) if isinstance(found, Mapping) else None
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                inside = found[int(key)]
            if inside is None:
                self._refuse(f"refers to {name[:80]!r}, which is not there")
            found = inside
        return found

    def _kinds(self, schema: Mapping[str, Any]) -> list[str] | None:
        """The types that a value may have; None for any. Keywords imply theirs."""
        named = schema.get("type")
        if named is None:
            implied = [kind for kind, (*_, words) in KINDS.items() if words & schema.keys()]
            return implied or None
        kinds = named if isinstance(named, list) else [named]
        for kind in kinds:
            if kind not in KINDS:
                self._refuse(f"has the type {str(kind)[:80]!r}, which is none")
        return list(dict.fromkeys(kinds)) or self._refuse("has an empty list of types")

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind in ("null", "boolean"):
            return '"null"' if kind == "null" else '("true" | "false")'
        if kind in ("integer", "number"):
            return self._ebnf.rule(self._number(kind, schema))
        write = {"string": self._string, "array": self._array, "object": self._object}[kind]
        return self._ebnf.rule(write(schema))

    def _string(self, schema: Mapping[str, Any]) -> str:
        special = [name for name in ("pattern", "format") if name in schema]
        lengths = [name for name in ("minLength", "maxLength") if name in schema]
        if len(special) > 1 or (special and lengths):
            self._lacks(f"{[*special, *lengths][1]} beside {special[0]}")
        if special:
            inner = self._formed(special[0], schema[special[0]])
        else:
            least, most = self._count(schema, "minLength", "maxLength")
            inner = times(self._ebnf, self._character, least, shorten(least, most))
        return sequence([r'"\""', inner, r'"\""'])

    def _formed(self, keyword: str, what: Any) -> str:
        if not isinstance(what, str):
            self._refuse(f"has a {keyword} that is no text")
        if keyword == "format":
            return FORMATS.get(what) or self._lacks(f"format {what[:80]!r}")
        try:
            return write_pattern(self._ebnf, what)
        except NotKept as reason:
            self._lacks(f"pattern with {reason}")

    def _number(self, kind: str, schema: Mapping[str, Any]) -> str:
        names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        for name in (*names, "multipleOf"):
            if name in schema and kind_of(schema[name]).isdisjoint({"number"}):
                self._refuse(f"has a {name} that is no number")
        bounds = Bounds.of(*(schema.get(name) for name in names))
        step = schema.get("multipleOf")
        if step is not None and not (kind == "integer" and step == 1):
            return self._multiples(step, bounds)
        written = (whole if kind == "integer" else real)(bounds)
        return written or self._lacks("bounds of a number without a whole number between them")

    def _multiples(self, step: Any, bounds: Bounds) -> str:
        if not isinstance(step, int) or step < 1:
            self._lacks("multipleOf that is no whole number")
        first = -(-bounds.low // step) * step
        if (bounds.high - first) // step >= MOST:
            self._lacks("multipleOf without near bounds")
        numbers = range(first, bounds.high + 1, step)
        return choice(map(literal, map(str, numbers))) if numbers else self._lacks("no multiple")

    def _array(self, schema: Mapping[str, Any]) -> str:
        first = schema.get("prefixItems", [])
        if not isinstance(first, list):
            self._refuse("has prefixItems that are no list")
        least, most = self._count(schema, "minItems", "maxItems")
        rest = schema.get("items", True)
        if rest is False:
            most = min(len(first), len(first) if most is None else most)
        if most is not None and most < least:
            self._refuse("has a list that is to be longer than it may be")
        items = [self._value(one) for one in first[:most]]
        follow = "" if rest is False or most == len(items) else self._value(rest)
        return sequence(['"["', self._blank, self._items(items, follow, least, most), '"]"'])

    def _items(self, items: Sequence[str], follow: str, least: int, most: int | None) -> str:
        """From the end on: what may stand after each item."""
        comma = sequence([self._blank, '","', self._blank])
        tail = self._blank
        if follow and items:
            more = None if most is None else most - len(items)
            again = self._ebnf.rule(sequence([comma, follow]))
            tail = sequence([times(self._ebnf, again, max(0, least - len(items)), more), tail])
        elif follow:
            return self._list(follow, comma, least, most)
        for index in reversed(range(len(items))):
            here = sequence([comma, items[index]] if index else [items[index]])
            tail = sequence([here, tail])
            if index >= least:
                tail = choice([self._blank, tail])
            tail = self._ebnf.rule(tail)
        return tail

    def _list(self, item: str, comma: str, least: int, most: int | None) -> str:
        again = self._ebnf.rule(sequence([comma, item]))
        others = times(self._ebnf, again, max(0, least - 1), None if most is None else most - 1)
        some = sequence([item, others, self._blank])
        return some if least else choice([literal(""), some])

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            self._refuse("has properties or required in a wrong form")
        self._check_others(schema, properties, required)
        others = schema.get("additionalProperties", True)
        if sum(name not in required for name in properties) > MOST_OPTIONAL:
            self._lacks(f"more than {MOST_OPTIONAL} properties that are not required")
        members = [
            sequence([_constant(name), self._colon(), self._value(of)])
            for name, of in properties.items()
        ]
        if members or others is False:
            inside = self._members(members, [name in required for name in properties])
        else:
            key = sequence([r'"\""', f"{self._character}*", r'"\""'])
            member = self._ebnf.rule(sequence([key, self._colon(), self._value(others)]))
            inside = self._list(member, sequence([self._blank, '","', self._blank]), 0, None)
        return sequence(['"{"', self._blank, inside, '"}"'])

    def _check_others(
        self, schema: Mapping[str, Any], properties: Mapping[str, Any], required: Iterable[Any]
    ) -> None:
        missing = [name for name in required if name not in properties]
        if missing:
            self._lacks(f"required {str(missing[0])[:80]!r}, which properties do not describe")
        patterns = schema.get("patternProperties", {})
        if not isinstance(patterns, Mapping):
            self._refuse("has patternProperties in a wrong form")
        if patterns and not properties:
            self._lacks("patternProperties without properties")
        for pattern in patterns:
            if any(self._finds(pattern, name) for name in properties):
                self._lacks("patternProperties that meet one of the properties")

    def _finds(self, pattern: str, name: str) -> bool:
        """Only of patterns whose search takes no long time."""
        if "(" in pattern or sum(map(pattern.count, "*+?{")) > 1:
            self._lacks("patternProperties with a group or more than one repetition")
        try:
            return re.search(pattern, name[:200]) is not None
        except re.error as reason:
            self._lacks(f"patternProperties with {reason}")

    def _members(self, members: Sequence[str], required: Sequence[bool]) -> str:
        """From the end on: what may follow when something was written before, and when nothing
        was.
        """
        comma = sequence([self._blank, '","', self._blank])
        after, begin = self._blank, literal("")
        for member, needed in zip(reversed(members), reversed(required), strict=True):
            here, first = sequence([comma, member, after]), sequence([member, after])
            after = self._ebnf.rule(here if needed else choice([here, after]))
            begin = self._ebnf.rule(first if needed else choice([first, begin]))
        return begin

    def _colon(self) -> str:
        return sequence(['":"', self._blank])

    def _anything(self) -> str:
        name = "anything"
        if name not in self._named:
            self._named[name] = name
            kinds = [self._of_kind(kind, {}) for kind in KINDS if kind != "integer"]
            self._ebnf.define(name, choice(kinds))
        return name

    def _count(self, schema: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
        low, high = schema.get(least, 0), schema.get(most)
        for name, value in ((least, low), (most, 0 if high is None else high)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                self._refuse(f"has {name} {str(value)[:80]!r}, which is no count")
        if low > MOST:
            self._lacks(f"{least} over {MOST}")
        if high is not None and high < low:
            self._refuse(f"has a {most} under its {least}")
        return low, None if high is None else min(high, MOST)

    def _lacks(self, what: str) -> NoReturn:
        self._refuse(f"has {what}, which the grammars of openvino-genai cannot keep to; remove it")

    def _refuse(self, fault: str) -> NoReturn:
        raise RequestError(f"{self._place} {fault}.", param=self._place or None)


def _constant(value: Any) -> str:
    """Characters that no text here has, or that the grammar library would escape, are escaped by
    JSON.
    """
    text = json.dumps(value, ensure_ascii=False)
    return literal(_UNUSUAL.sub(lambda match: json.dumps(match[0])[1:-1], text))
