"""system_fingerprint: the same for the same thing, in every answer, and readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import TOY, Config, Running, running

from enginebay_core.plugins import resolve_model

SAY: dict[str, Any] = {"model": "m", "max_tokens": 3}
CHAT = {**SAY, "messages": [{"role": "user", "content": "Say hi"}]}
NUMPY = {"backend": "numpy", "model": "pocket", "placement": "inline"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    models = {"m": NUMPY, "same": {**NUMPY, "placement": "process"}, "toy": TOY}
    with running({"models": models}) as started:
        yield started


def fingerprint(server: Running, model: str = "m") -> dict[str, Any]:
    told = server.http.get(f"{server.url}/models/{model}").json()["fingerprint"]
    assert isinstance(told, dict)
    return told


def test_every_answer_has_it(server: Running) -> None:
    name = fingerprint(server)["system_fingerprint"]
    with server.client() as client:
        chat = client.chat.completions.create(**CHAT)
        plain = client.completions.create(**SAY, prompt="Hi")
        chunks = [*client.chat.completions.create(**CHAT, stream=True)]
        plain_chunks = [*client.completions.create(**SAY, prompt="Hi", stream=True)]
    assert len(chunks) > 2
    assert {one.system_fingerprint for one in (chat, plain, *chunks, *plain_chunks)} == {name}
    told = server.post({**CHAT, "model": "toy"}).json()["system_fingerprint"]
    assert told == fingerprint(server, "toy")["system_fingerprint"] != name


def test_it_is_readable(server: Running) -> None:
    told = fingerprint(server)
    assert told.keys() == {
        *("system_fingerprint", "backend", "versions", "revision"),
        *("tokenizer", "template", "dtype"),
    }
    assert told["system_fingerprint"].startswith("fp_")
    assert (told["backend"], told["dtype"]) == ("numpy", "float32")
    assert {"enginebay-numpy", "enginebay-server", "numpy", "tokenizers"} <= told["versions"].keys()
    assert told["tokenizer"].startswith("huggingface sha256:")


def test_where_it_runs_changes_nothing(server: Running) -> None:
    assert fingerprint(server, "same") == fingerprint(server)


def test_another_template_is_another_thing(
    start: Callable[[Config], Running], server: Running, tmp_path: Path
) -> None:
    pocket = resolve_model("pocket", lambda *_: None)
    for file in pocket.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    template = tmp_path / "chat_template.jinja"
    template.write_text(template.read_text() + "{# #}")
    other = fingerprint(start({"models": {"m": {**NUMPY, "model": str(tmp_path)}}}))
    mine = fingerprint(server)
    assert other["system_fingerprint"] != mine["system_fingerprint"]
    assert other["template"] != mine["template"]
    assert other["tokenizer"] == mine["tokenizer"]
    assert str(tmp_path) not in str(other)
