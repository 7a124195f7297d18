"""The page on metrics and logs leaves nothing out and adds nothing."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.docs.pages import code_spans, read, table
from tests.server.conftest import TOY, running
from tests.server.test_logs import logged

from enginebay_server import spans
from enginebay_server.logs import JsonLines

PAGE = read("docs/observability.md")
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_every_metric_is_in_the_table_with_its_labels() -> None:
    """Of a server with a key, over a model in a process of its own."""
    config = {"models": {"m": {**TOY, "placement": "process"}}}
    with running(config) as server:
        server.post({**CHAT, "max_tokens": 3})
        text = server.http.get(server.root + "/metrics").text
    told: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("enginebay_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels}
            told[name] = family.type, labels - {"model", "backend", "le"}
    rows = table(PAGE.section("## Metrics"))
    listed = {
        name: (cells[0], set(code_spans(cells[1])))
        for name, cells in rows.items()
        if name.startswith("enginebay_") and len(cells) == 3
    }
    assert told == listed


def test_the_questions_ask_for_metrics_that_exist() -> None:
    names = set(table(PAGE.section("## Metrics")))
    asked = set(re.findall(r"enginebay_\w+", PAGE.text))
    assert {re.sub("_bucket$", "", name) for name in asked} <= names


def test_every_field_of_a_line_is_in_the_table() -> None:
    config = {"server": {"api_key": "sk-x"}, "models": {"m": TOY}}
    with running(config) as server, logged(JsonLines()) as lines:
        headers = {"authorization": "Bearer sk-x", "x-request-id": "page"}
        server.post({**CHAT, "max_tokens": 3}, headers=headers)
    read_lines = [json.loads(line) for line in lines.getvalue().splitlines()]
    [line] = [line for line in read_lines if line.get("request_id") == "page"]
    section = PAGE.section("## The log")
    listed = {
        name
        for row in section.splitlines()
        if row.startswith("| `")
        for name in code_spans(row.split("|")[1])
    }
    everywhere = {"time", "level", "logger", "message", "request_id"}
    assert line.keys() - everywhere == listed
    assert everywhere | {"exception"} <= set(code_spans(section))


def test_the_line_shown_is_one() -> None:
    [shown] = [body for body in PAGE.blocks("") if " INFO request " in body]
    names = re.findall(r" (\w+)=", shown)
    assert names[:4] == ["method", "path", "client", "status"]


def test_every_part_of_the_fingerprint_is_in_the_table() -> None:
    with running({"models": {"m": TOY}}) as server:
        told = server.http.get(server.url + "/models/m").json()["fingerprint"]
    listed = set(table(PAGE.section("## What exactly answers")))
    assert listed == told.keys() - {"system_fingerprint"}


def test_every_attribute_of_a_trace_is_in_the_table() -> None:
    """Names and all: what the code can set is what the page lists."""
    told = set(
        re.findall(r'"((?:gen_ai|openai|enginebay|error)\.[\w.]+)"', inspect.getsource(spans))
    )
    assert told == set(table(PAGE.section("## Traces")))
