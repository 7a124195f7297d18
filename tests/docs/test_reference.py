"""The pages on the config and on the HTTP API leave nothing out and add nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tests.docs.pages import Page, all_pages, code_spans, read, table

from enginebay_core.api import GENERATION_FIELDS, RequestError, StepOptions
from enginebay_core.config import Deadlines, Defaults, Grammars, ModelConfig, Queue, parse
from enginebay_server.config import Bounds, PerKey, ServerSettings, Settings, load_settings
from enginebay_server.errors import (
    BodyTooLarge,
    Draining,
    ModelFailed,
    ModelLoading,
    WrongMediaType,
    wire_error,
)
from enginebay_server.fields import ELSEWHERE, NO_EFFECT, REFUSED
from enginebay_server.schema.chat import ChatRequest, TemplateSwitches
from enginebay_server.schema.completions import CompletionRequest

CONFIG = read("docs/configuration.md")
HTTP = read("docs/http-api.md")

SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("## `[server]`", ServerSettings),
    ("## `[models.NAME]`", ModelConfig),
    ("### `[models.NAME.defaults]`", Defaults),
    ("### `[models.NAME.queue]`", Queue),
    ("### `[models.NAME.deadlines]`", Deadlines),
    ("### `[models.NAME.grammar]`", Grammars),
    ("## Options of a backend", StepOptions),
]


@pytest.mark.parametrize(("heading", "model"), SECTIONS)
def test_the_keys_are_those_of_the_settings(heading: str, model: type[BaseModel]) -> None:
    assert set(table(CONFIG.section(heading))) == set(model.model_fields)


@pytest.mark.parametrize(("heading", "model"), SECTIONS)
def test_the_defaults_are_those_of_the_settings(heading: str, model: type[BaseModel]) -> None:
    for key, cells in table(CONFIG.section(heading)).items():
        said = code_spans(cells[0])
        if said and len(cells) > 1:
            assert tomllib.loads(f"x = {said[0]}")["x"] == plain(model.model_fields[key]), key


def plain(field: FieldInfo) -> Any:
    """The default as the config would write it; a table of defaults is written as empty."""
    value = field.get_default(call_default_factory=True)
    return {} if isinstance(value, BaseModel) else value


def test_no_table_of_the_config_is_left_out() -> None:
    described = {*(model for _, model in SECTIONS), Bounds, PerKey}  # docs/limits.md has those two
    for model in (Settings, ServerSettings, ModelConfig):
        for field in model.model_fields.values():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                assert kind in described


@pytest.mark.parametrize("page", list(all_pages()), ids=lambda page: page.name)
def test_config_examples_are_configs(page: Page) -> None:
    for body in page.blocks("toml"):
        tables = tomllib.loads(body)
        if set(tables) <= set(Settings.model_fields):
            parse(Settings, tables, page.name)


def test_the_examples_here_can_be_served(tmp_path: Path) -> None:
    """Down to the options that only the backends know."""
    for page in (CONFIG, read("README.md")):
        configs = [body for body in page.blocks("toml") if "[models." in body]
        assert configs
        for number, body in enumerate(configs):
            file = tmp_path / f"{number}.toml"
            file.write_text(body)
            load_settings(file, {})


def test_each_honoured_field_is_named() -> None:
    honoured = table(HTTP.section("## Fields that are honoured"))
    fields = {*ChatRequest.model_fields, *CompletionRequest.model_fields}
    switches = {f"chat_template_kwargs.{name}" for name in TemplateSwitches.model_fields}
    wanted = (fields | switches) - {"chat_template_kwargs", "prompt"}
    assert set(honoured) >= wanted
    assert "`prompt`" in HTTP.section("## Fields that are honoured")
    assert set(GENERATION_FIELDS) <= {*honoured, *REFUSED}


def test_each_refused_field_is_named() -> None:
    assert set(REFUSED) <= set(code_spans(HTTP.section("## Fields that are refused")))
    examples = {"guided_json", "typical_p", "stop_token_ids", "max_new_tokens"}
    assert examples <= set(ELSEWHERE) & set(code_spans(HTTP.section("## Fields that are refused")))


def test_each_field_without_effect_is_named() -> None:
    named = code_spans(HTTP.section("## Fields that are accepted and have no effect"))
    assert set(named) == set(NO_EFFECT)


def test_each_error_is_in_the_table() -> None:
    listed = HTTP.section("## Errors")
    kinds: list[type[RequestError]] = [*descendants(RequestError)]
    assert {BodyTooLarge, WrongMediaType} <= set(kinds)
    errors: list[Exception] = [kind("") for kind in kinds]
    errors += [ModelLoading(""), Draining(""), ModelFailed(""), RequestError("")]
    for error in errors:
        wire = wire_error(error)
        row = next(
            (line for line in listed.splitlines() if f"`{wire.code or 'null'}`" in line), None
        )
        assert row is not None, wire
        assert row.startswith(f"| {wire.status} |"), (row, wire)


def descendants(kind: type[RequestError]) -> list[type[RequestError]]:
    below = [other for other in kind.__subclasses__() if other.__module__.startswith("enginebay")]
    return [*below, *(one for other in below for one in descendants(other))]


def test_the_error_shown_is_one() -> None:
    [shown] = [json.loads(body) for body in HTTP.blocks("json")]
    assert shown["error"].keys() == wire_error(RequestError("")).body()["error"].keys()
