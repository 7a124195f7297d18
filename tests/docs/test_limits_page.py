"""The page on limits names every bound there is, with its default."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from annotated_types import MaxLen
from pydantic import BaseModel
from tests.docs.pages import code_spans, read, table

from enginebay_server.config import Bounds, PerKey, ServerSettings
from enginebay_server.routes import ROUTERS
from enginebay_server.schema.part import RequestPart

PAGE = read("docs/limits.md")


@pytest.mark.parametrize(
    ("heading", "model"), [("## `[server.limits]`", Bounds), ("## `[server.per_key]`", PerKey)]
)
def test_each_bound_is_on_the_page(heading: str, model: type[BaseModel]) -> None:
    rows = {key for key in table(PAGE.section(heading)) if "." not in key}
    assert rows == set(model.model_fields)


def test_the_defaults_are_those_of_the_settings() -> None:
    for key, cells in table(PAGE.section("## `[server.limits]`")).items():
        [said, *_] = code_spans(cells[0]) or [""]
        fields = ServerSettings.model_fields if key.startswith("server.") else Bounds.model_fields
        name = key.removeprefix("server.")
        if said and name in fields:
            assert tomllib.loads(f"x = {said}")["x"] == fields[name].default, key


def test_what_is_fixed_is_on_the_page() -> None:
    """Every field of a request whose length has a bound, with that number."""
    assert ROUTERS, "importing them makes every class of request"
    fixed = table(PAGE.section("## Bounds that are fixed"))
    said = {name: "".join(cells) for name, cells in fixed.items()}
    for name, bound in _bounds(RequestPart):
        if name not in Bounds.model_fields and name != "stop":
            assert f"{bound:,}" in said[name], name


def _bounds(part: type[RequestPart]) -> Iterator[tuple[str, int]]:
    for name, field in part.model_fields.items():
        yield from ((name, rule.max_length) for rule in field.metadata if isinstance(rule, MaxLen))
    for kind in part.__subclasses__():
        yield from _bounds(kind)
