"""The log of a real server: one line per request, by its id, and nothing of what was said."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.server.conftest import TOY, Config, Running
from tests.server.test_run import process

from enginebay_server.logs import JsonLines, TextLines

SECRET = "xylophone-secret"
CHAT: dict[str, Any] = {
    "model": "toy",
    "messages": [{"role": "user", "content": SECRET}],
    "max_tokens": 3,
}


@contextmanager
def logged(form: logging.Formatter) -> Iterator[io.StringIO]:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(form)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def of_request(lines: io.StringIO, request_id: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in read if line.get("request_id") == request_id]


def test_one_line_tells_how_a_request_went(toys: Running) -> None:
    with logged(JsonLines()) as lines:
        usage = toys.post({**CHAT, "model": "gpt-4o-mini"}, headers={"x-request-id": "a1"}).json()[
            "usage"
        ]
        toys.post({**CHAT, "max_tokens": 0}, headers={"x-request-id": "a2"})
        toys.http.get(toys.root + "/health", headers={"x-request-id": "a3"})
        toys.http.get(toys.root + "/metrics", headers={"x-request-id": "a4"})
    [line] = of_request(lines, "a1")
    assert line["message"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (line["model"], line["level"], line["client"]) == ("toy", "info", "127.0.0.1")
    tokens = (line["prompt_tokens"], line["completion_tokens"])
    assert tokens == (usage["prompt_tokens"], usage["completion_tokens"])
    assert 0 <= line["first_token_seconds"] <= line["seconds"] < 30
    assert [line["status"] for line in of_request(lines, "a2")] == [400]
    assert of_request(lines, "a3") == of_request(lines, "a4") == []


def test_whatever_is_logged_on_the_way_has_the_id(toys: Running) -> None:
    with logged(JsonLines()) as lines:
        toys.post({**CHAT, "oddity_of_logs": 1}, headers={"x-request-id": "b1"})
    first, last = of_request(lines, "b1")
    assert "oddity_of_logs" in first["message"]
    assert last["message"] == "request"


def test_an_unforeseen_failure_is_found_by_its_id(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"toy": TOY}})

    def fail(*_: object) -> None:
        raise ZeroDivisionError("what happened")

    server.service.prompts.run = fail  # type: ignore[assignment,method-assign]
    with logged(JsonLines()) as lines:
        server.post(CHAT, headers={"x-request-id": "c1"})
    failure, line = of_request(lines, "c1")
    assert failure["level"] == "error"
    assert "ZeroDivisionError: what happened" in failure["exception"]
    assert line["status"] == 500


BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/chat/completions", CHAT),
    ("/chat/completions", {**CHAT, "stream": True}),
    ("/chat/completions", {**CHAT, "model": "gone"}),
    ("/chat/completions", {**CHAT, "stop": [SECRET], "user": SECRET}),
    ("/chat/completions", {**CHAT, "messages": [{"role": "user", "content": 5, "x": SECRET}]}),
    ("/completions", {"model": "toy", "prompt": SECRET, "max_tokens": 3}),
    ("/completions", {"model": "toy", "prompt": [SECRET, "\ud800"], "max_tokens": 3}),
    ("/responses", {"model": "toy", "input": SECRET, "max_output_tokens": 16}),
    ("/embeddings", {"model": "toy", "input": SECRET}),
]


@pytest.mark.parametrize(("path", "body"), BODIES)
def test_nothing_that_was_said_is_logged(toys: Running, path: str, body: dict[str, Any]) -> None:
    with logged(JsonLines()) as lines:
        toys.http.post(
            toys.url + path + f"?q={SECRET}",
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json", "x-request-id": "d1"},
        )
        time.sleep(0.05)  # a stream's line follows its end
    ours = [line for line in lines.getvalue().splitlines() if '"logger": "httpx"' not in line]
    assert of_request(io.StringIO("\n".join(ours)), "d1")
    assert SECRET not in "\n".join(ours)


def test_unless_it_is_asked_for(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"log_prompts": True}, "models": {"toy": TOY}})
    with logged(JsonLines()) as lines:
        server.post(CHAT, headers={"x-request-id": "e1"})
    body, _ = of_request(lines, "e1")
    assert body["body"] == CHAT


def test_keys_are_told_by_the_beginning_of_their_digest(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"api_key": "sk-logs"}, "models": {"toy": TOY}})
    with logged(JsonLines()) as lines:
        for key in ("sk-logs", "sk-other"):
            server.post(CHAT, headers={"authorization": f"Bearer {key}", "x-request-id": "f1"})
    good, bad = of_request(lines, "f1")
    assert (len(good["key"]), bad["status"], "key" in bad) == (8, 401, False)
    assert "sk-" not in lines.getvalue()


def test_a_client_cannot_forge_lines(toys: Running) -> None:
    """Neither by what it asks for nor by a field's name."""
    evil = "x\n12:00:00 INFO request status=200"
    with logged(TextLines()) as lines:
        toys.http.get(toys.root + "/a%0a12:00:00 INFO", headers={"x-request-id": "g1"})
        toys.post({**CHAT, evil: 1, "model": evil})
        toys.post({**CHAT, evil: 1})
    logged_lines = [line for line in lines.getvalue().splitlines() if "HTTP Request" not in line]
    assert all(" INFO " in line[:15] for line in logged_lines)
    assert not any(line.startswith("12:00:00") for line in logged_lines)
    assert sum(line.count("request method=") for line in logged_lines) == 3


def test_text_and_json_say_the_same() -> None:
    record = logging.LogRecord("a.b", logging.WARNING, "f", 1, "%s left", ("one",), None)
    record.model, record.odd, record.thing = "m", "two words", {1}
    told = json.loads(JsonLines().format(record))
    assert (told["message"], told["level"], told["logger"]) == ("one left", "warning", "a.b")
    assert (told["odd"], told["thing"]) == ("two words", "{1}")
    assert (
        TextLines().format(record).endswith(" WARNING one left model=m odd='two words' thing={1}")
    )
    try:
        raise ValueError("no")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: no" in json.loads(JsonLines().format(record))["exception"]
    assert TextLines().format(record).splitlines()[-1] == "ValueError: no"


def test_a_server_writes_json_when_it_is_told_to() -> None:
    import httpx

    with process({"log_format": "json"}) as begun:
        begun.wait_ready()
        httpx.post(begun.url + "/chat/completions", json=CHAT, headers={"x-request-id": "h1"})
        begun.popen.terminate()
        code, _, log = begun.ends(30)
    lines = [json.loads(line) for line in log.splitlines()]
    assert code == 0
    assert [line.get("status") for line in of_request(io.StringIO(log), "h1")] == [200], lines
