"""How a family of models writes a call, as a grammar has to know it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from enginebay_core.api import JsonValue, RequestError, Rule

NO_PARAMETERS: Final[Mapping[str, JsonValue]] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}
"""A function without ``parameters`` takes none."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that may be called. ``place`` is where its ``parameters`` stand in the request.
    Without ``parameters`` any object will do.
    """

    name: str
    place: str
    parameters: Mapping[str, JsonValue] | None


def json_arguments(function: Offered) -> Rule:
    """A JSON object."""
    schema = dict(function.parameters or {})
    if schema.setdefault("type", "object") != "object":
        raise RequestError(
            f"{function.place}.type is {str(schema['type'])[:80]!r}; the arguments of a call are "
            "an object.",
            param=function.place,
        )
    return Rule("json", json.dumps(schema, ensure_ascii=False), place=function.place)


@dataclass(frozen=True, slots=True)
class CallForm:
    """``opening``, calls with ``separator`` between them, ``closing``. A call is ``before``, the
    name, ``between``, the arguments, ``after``. Tags within them become control tokens where the
    tokenizer has them. ``loose``: it can write any arguments, not only those of a schema.
    """

    before: str
    between: str
    after: str
    opening: str = ""
    separator: str = ""
    closing: str = ""
    arguments: Callable[[Offered], Rule] = json_arguments
    loose: bool = True

    def rule(
        self, functions: Sequence[Offered], control: Mapping[str, int], *, only_one: bool
    ) -> Rule:
        """Calls of these functions: one at least. Raises RequestError for parameters that cannot
        be written in this form.
        """
        call = self._one_of(functions, control)
        parts = [*spelled(self.opening, control), call]
        if not only_one:
            again = Rule("sequence", parts=(*spelled(self.separator, control), call))
            parts.append(Rule("repeat", parts=(again,)))
        return Rule("sequence", parts=(*parts, *spelled(self.closing, control)))

    def _one_of(self, functions: Sequence[Offered], control: Mapping[str, int]) -> Rule:
        calls = []
        for function in functions:
            named = spelled(f"{self.before}{function.name}{self.between}", control)
            after = spelled(self.after, control)
            calls.append(Rule("sequence", parts=(*named, self.arguments(function), *after)))
        return calls[0] if len(calls) == 1 else Rule("choice", parts=tuple(calls))


def spelled(text: str, control: Mapping[str, int]) -> tuple[Rule, ...]:
    """Ordinary text, and the control tokens within it."""
    tags = _tags_in(text, control)
    if not tags:
        return (Rule("text", text),) if text else ()
    pieces = re.split("(" + "|".join(map(re.escape, tags)) + ")", text)
    return tuple(
        [
            Rule("control", piece, control[piece]) if piece in tags else Rule("text", piece)
            for piece in pieces
            if piece
        ]
    )


def _tags_in(text: str, control: Mapping[str, int]) -> Collection[str]:
    """The longest first: one may begin another."""
    return sorted((tag for tag in control if tag in text), key=len, reverse=True)


def choose_form(forms: Sequence[CallForm], name: str, written: str) -> CallForm | None:
    """The form in which ``written`` has a call of ``name``, else the first."""
    fitting = (form for form in forms if f"{name}{form.between}" in written)
    return next(fitting, forms[0] if forms else None)


def refuse_parameters(function: Offered, keyword: str, form: str) -> RequestError:
    """Of a form that is not JSON throughout."""
    place: Any = function.place
    return RequestError(
        f"{place} has {keyword[:80]!r}, which cannot be kept to in the way in which this model "
        f"writes its calls ({form}); remove it.",
        param=place,
    )
