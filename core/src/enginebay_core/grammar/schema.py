"""Refuses JSON Schemas that are too much, before anybody works on them."""

from __future__ import annotations

import asyncio
import graphlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from enginebay_core.api import Grammar, RequestError, Rule
from enginebay_core.grammar.limits import GrammarLimits

BRANCHES: Final = ("anyOf", "oneOf", "allOf")
"""Keywords that lead from one schema to others for the very same value."""

CHECK_ON_LOOP: Final = 4096
"""Characters of schemas that are looked at at once: a thread costs more than that takes."""

LONGEST_PLACE: Final = 9
"""Digits of a place in a list: no schema has more, and Python refuses to read thousands."""


class GrammarCheck:
    """The ``n`` choices of a request share one rule, which is looked at once."""

    def __init__(self, limits: GrammarLimits) -> None:
        self._limits = limits
        self._passed: Rule | None = None
        self._lock = threading.Lock()

    async def check(self, grammar: Grammar) -> None:
        """As ``__call__``, from an event loop, which a long schema does not hold up."""
        if grammar.rule == self._passed:
            return
        if sum(len(rule.text) for rule in json_rules(grammar.rule)) <= CHECK_ON_LOOP:
            self(grammar)
        else:
            await asyncio.to_thread(self, grammar)

    def __call__(self, grammar: Grammar) -> None:
        """Raises RequestError that names the schema's place in the request."""
        with self._lock:  # so that choices that come together wait for the first
            self._look_at(grammar)

    def _look_at(self, grammar: Grammar) -> None:
        if grammar.rule == self._passed:
            return
        rules = list(dict.fromkeys(json_rules(grammar.rule)))
        _check_size(rules, self._limits.bytes)
        for rule in rules:
            _check_schema(rule, self._limits.depth)
        self._passed = grammar.rule


def json_rules(rule: Rule) -> Iterator[Rule]:
    """All that have a JSON Schema, in order."""
    if rule.kind == "json":
        yield rule
    for part in rule.parts:
        yield from json_rules(part)


def _check_size(rules: list[Rule], limit: int) -> None:
    total = 0
    for rule in rules:
        size = len(rule.text.encode())
        total += size
        if total > limit:
            others = f", {total} with those before it" if total > size else ""
            raise _refusal(
                rule, f"has {size} bytes{others}; {limit} of schema are the most here. Shorten it"
            )


def _check_schema(rule: Rule, limit: int) -> None:
    schema = json.loads(rule.text)
    depth = _depth(schema)
    if depth > limit:
        raise _refusal(rule, f"nests {depth} levels deep; {limit} are the most here. Flatten it")
    circle = _find_circle(schema)
    if circle:
        raise _refusal(
            rule, f"refers in a circle ({' to '.join(circle)}), so that no value is described"
        )


def _refusal(rule: Rule, fault: str) -> RequestError:
    return RequestError(f"{rule.place} {fault}.", param=rule.place)


def _depth(schema: Any) -> int:
    if not isinstance(schema, Mapping | list):
        return 0
    below = schema.values() if isinstance(schema, Mapping) else schema
    return 1 + max(map(_depth, below), default=0)


def _find_circle(schema: Any) -> list[str] | None:
    """References that lead back to the first without a step into the value."""
    leads: dict[str, set[str]] = {}
    known: dict[int, set[str]] = {}  # many names may lead to one place
    for name in dict.fromkeys(_references(schema)):
        target = _resolve(schema, name)
        if id(target) not in known:
            known[id(target)] = set(_straight(target))
        leads[name] = known[id(target)]
    try:
        graphlib.TopologicalSorter(leads).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return [name[:80] for name in circle[:4]]
    return None


def _references(schema: Any) -> Iterator[str]:
    """Wherever they stand: one too many, in what is no schema but data, does no harm."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for below in schema.values():
            yield from _references(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _references(below)


def _straight(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("$ref"), str):
        yield schema["$ref"]
    for keyword in BRANCHES:
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, list) else ():
            yield from _straight(branch)


def _resolve(root: Any, reference: str) -> Any:
    """What a local JSON pointer (RFC 6901) names; None for what is elsewhere or nowhere."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            place = int(key) if key.isdecimal() and len(key) <= LONGEST_PLACE else len(found)
            found = found[place] if place < len(found) else None
        else:
            found = found.get(key) if isinstance(found, Mapping) else None
    return found
