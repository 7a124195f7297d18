"""Every backend at once in one server, from the config that the docs give."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.server.conftest import Config, Running

from enginebay_core.api import EngineBayError
from enginebay_core.environments import interpreter_of
from enginebay_core.plugins import BACKENDS, list_plugins
from enginebay_pocket.recipe.phrases import table
from enginebay_server.models import State

AT_ONCE = 8
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "five-engines.toml"


def questions() -> list[str]:
    """All that the bundled model is scored by, and no more: each has one right beginning."""
    held = table("heldout")
    asked = [texts for topic in held["topics"].values() for texts in topic.values()]
    asked += held["honesty"].values()
    return [text for texts in asked for text in texts]


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_five_engines_answer_alike(
    start: Callable[[Config], Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tomllib.loads(EXAMPLE.read_text())
    assert len(config["models"]) == 5
    require_backends(set(config["models"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # exports go there
    server = start(config)
    asked = questions()
    assert len(asked) > 100
    answers = {name: answer_all(server, name, asked) for name in config["models"]}
    for question, *said in zip(asked, *answers.values(), strict=True):
        assert len(set(said)) == 1, (question, dict(zip(answers, said, strict=True)))
        assert said[0], question
    states = {name: server.models.entry(name).state for name in config["models"]}
    assert set(states.values()) == {State.READY}


def require_backends(names: set[str]) -> None:
    """Skips naming what is not here: `make setup` has it all."""
    absent = names - {plugin.name for plugin in list_plugins(BACKENDS)}
    if absent:
        pytest.skip(f"not installed: {', '.join(sorted(absent))}; `make setup` installs them")
    for needed in ("torch", "onnxruntime", "openvino_genai"):
        pytest.importorskip(needed, reason=f"{needed} is not installed; `make setup` installs it")
    try:
        interpreter_of("optimum", "the server")
    except EngineBayError as error:
        pytest.skip(str(error))


def answer_all(server: Running, model: str, asked: list[str]) -> list[str]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda question: answer(server, model, question), asked))


def answer(server: Running, model: str, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 48}
    said = server.post(body, timeout=120)
    assert said.status_code == 200, said.text
    content: str = said.json()["choices"][0]["message"]["content"]
    return content
