"""The page says what the backends declare, and the witnesses hold. The kit itself is run by
`make matrix`, and by `make test-all`, which compares the whole page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.docs.pages import ROOT, code_spans, read
from tests.matrix.cases import BACKENDS, Case, all_cases
from tests.matrix.kit import Outcome
from tests.matrix.page import (
    ENGINE,
    HEAD,
    NOBODY,
    RAN,
    SERVER,
    VECTORS,
    WHY,
    nobody,
    render,
    what_ran,
)
from tests.matrix.serving import SAMPLES, refusals, refused_by_all, served, server_rows
from tests.matrix.table import Cell, Row, engine_rows
from tests.matrix.vectors import faults
from tests.matrix.vectors import read as read_report
from tests.matrix.wire import Wire
from tests.matrix.witnesses import WITNESSES

from enginebay_core.api import GENERATION_FIELDS, Capability, Support
from enginebay_core.plugins import load_backend
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.completions import CompletionRequest

HERE = ("toy", "numpy")
"""Backends that load in a moment, with nothing to install."""


@pytest.fixture(scope="module")
def wires() -> Iterator[dict[str, Wire]]:
    with served(HERE) as started:
        yield started


def cells(heading: str, names: int) -> dict[tuple[str, ...], dict[str, str]]:
    """A table of the page by the names that its rows begin with, and the backend."""
    shown = [line for line in section(heading) if line.startswith("|")]
    titles = code_spans(shown[0])
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in shown[2:]]
    return {
        tuple(", ".join(code_spans(name)) for name in row[:names]): dict(
            zip(titles, row[names:], strict=True)
        )
        for row in rows
    }


def section(heading: str) -> list[str]:
    return read("docs/matrix.md").section(heading).splitlines()


def words(capability: Capability) -> str:
    limit = "" if capability.maximum is None else f", at most {capability.maximum:g}"
    return capability.support.value + limit


def test_there_is_a_column_for_every_backend_of_the_repository() -> None:
    declared = set()
    for file in ROOT.glob("*/**/pyproject.toml"):
        points = tomllib.loads(file.read_text()).get("project", {}).get("entry-points", {})
        declared |= set(points.get("enginebay.backends.v1", {}))
    assert declared == set(BACKENDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_page_says_what_the_backend_declares(backend: str) -> None:
    """They look at no more of the engine that they are asked about than whether it knows what its
    ids spell.
    """
    engine: Any = SimpleNamespace(spelling=object())
    declared = load_backend(backend).capabilities(engine)
    page = cells("## What the engine must do", 1)
    assert set(page) == {(name,) for name in GENERATION_FIELDS}
    for name in GENERATION_FIELDS:
        assert page[name,][backend] == words(declared.of(name)), name
    for name, capability in declared.fields.items():
        if capability.support is Support.REFUSED:
            row = f"| `{backend}` | `{name}` | {capability.reason} |"
            assert row in section("## Why a backend refuses")


def test_every_field_of_a_request_has_a_row() -> None:
    fields = {*ChatRequest.model_fields, *CompletionRequest.model_fields} - {"model"}
    beside = {"add_special_tokens"}  # of the tokenizer: tests/server/test_completions.py
    rows = {witness.label.split(":")[0].split(".")[0] for witness in WITNESSES}
    assert fields - beside <= rows | set(GENERATION_FIELDS)
    assert set(SAMPLES) == set(GENERATION_FIELDS)


def test_the_witnesses_hold_and_the_page_says_so(wires: dict[str, Wire]) -> None:
    seen: list[str] = []
    rows = server_rows(wires, seen.append)
    assert seen == []
    page = cells("## What the server does", 2)
    assert [*page] == [(row.route, row.field) for row in rows]
    for row in rows:
        shown = dict(zip(HERE, map(str, row.cells), strict=True))
        told = page[row.route, row.field]
        assert {name: told[name] for name in HERE} == shown, row.field


def test_what_is_refused_is_refused(wires: dict[str, Wire]) -> None:
    refused_by_all(wires["toy"])
    assert refusals(wires, pytest.fail) == {("tool_choice", "toy"): True}


def test_the_rest_of_the_page_is_what_is_written() -> None:
    text = read("docs/matrix.md").text
    ran = what_ran({(case.backend, case.model): True for case in all_cases()})
    for block in (HEAD, ENGINE, SERVER, VECTORS, WHY, NOBODY, nobody(), RAN, ran):
        assert block in text


def test_nothing_on_the_page_is_unproved() -> None:
    tables = read("docs/matrix.md").text.partition("## What the engine must do")[2]
    assert "failed" not in tables
    assert "unproved" not in tables
    assert "?" not in tables


def test_a_witness_sees_what_is_not_done(wires: dict[str, Wire]) -> None:
    """The toy, said to do what it refuses."""
    said = {name: {"support": "native", "values": ["required"]} for name in wires["toy"].support}
    liar = Wire(wires["toy"].server, "toy", {**said, "stop": {"support": "refused"}})
    seen: list[str] = []
    rows = server_rows({"toy": liar}, seen.append)
    failed = {row.field for row in rows if not row.proved}
    assert {"tools", "reasoning_effort", "tool_choice: required", "stop"} <= failed
    assert len(seen) == len([row for row in rows if not row.proved])


FIELD = {"claimed": "native", "proof": "proved", "detail": ""}


def outcome(backend: str, passed: bool = True, **changed: dict[str, str]) -> Outcome:
    fields: dict[str, dict[str, Any]] = dict.fromkeys(GENERATION_FIELDS, FIELD)
    return Outcome(Case(backend, "pocket"), passed, {**fields, **changed}, "")


def test_the_row_says_what_could_not_be_proved() -> None:
    """As well proved as on the model where it is worst; a refusal that was not seen is none."""
    outcomes = [
        *map(outcome, BACKENDS),
        outcome(
            "numpy", False, seed={**FIELD, "proof": "unproved"}, n={**FIELD, "proof": "failed"}
        ),
        outcome("onnx", min_p={**FIELD, "claimed": "refused", "proof": "refused"}),
        outcome("toy", n={**FIELD, "detail": "at most 128"}),
    ]
    outcomes = [o for o in outcomes if o.case.backend != "onnx" or "refused" in str(o.fields)]
    rows = {row.field: row for row in engine_rows(outcomes, {})}
    shown = {
        name: dict(zip(BACKENDS, map(str, row.cells), strict=True)) for name, row in rows.items()
    }
    assert shown["seed"]["numpy"] == "native, **unproved**"
    assert shown["n"]["numpy"] == "native, **failed**"
    assert shown["n"]["toy"] == "native, at most 128"
    assert shown["min_p"]["onnx"] == "refused, **failed**"
    assert shown["seed"]["onnx"] == "native"
    assert not rows["n"].proved
    assert rows["temperature"].proved
    page = render([*rows.values()], [], Row("/v1/embeddings", "input", ()), {}, {})
    assert "| `seed` | native | native, **unproved** |" in page
    assert SERVER in page


def test_a_backend_that_could_not_be_tested_has_proved_nothing() -> None:
    case = all_cases()[0]
    [row, *_] = engine_rows([Outcome(case, False, {}, "no such engine")], {})
    assert {str(cell) for cell in row.cells} == {"?, **unproved**"}
    assert not row.proved


def test_embedders_without_a_contract_have_proved_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a.test_b.TestMean" name="test_one"/>'
        '<testcase classname="a.test_b.TestMean" name="test_two"><skipped message="no oracle"/>'
        '</testcase><testcase classname="a.test_b" name="test_beside"/></testsuite></testsuites>'
    )
    [(module, checks)] = read_report(report).items()
    assert module == "a.test_b"
    assert faults(checks) == "TestMean.test_two: no oracle"
    assert faults({}) == "no contract ran"
    assert str(Cell("native", "proved")) == "native"
