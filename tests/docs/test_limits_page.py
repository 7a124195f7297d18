"""The page on limits names every bound there is, with its default."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import BaseModel
from tests.docs.pages import code_spans, read, table

from enginebay_server.config import Bounds, PerKey, ServerSettings

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
