"""``/v1/embeddings``: a vector of each input."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from openai import OpenAI
from openai.types import CreateEmbeddingResponse
from tests.server.conftest import TOY, Config, Running, running

from enginebay_core.toy import ToyEmbedder

PATH = "/embeddings"
EMBED: Config = {**TOY, "options": {"task": "embed"}}
ASK: dict[str, Any] = {"model": "vectors", "input": "Once upon a time"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """``vectors`` here, ``far`` in a process of its own, ``toy`` for text."""
    models = {"toy": TOY, "vectors": EMBED, "far": {**EMBED, "placement": "process"}}
    with running({"models": models}) as started:
        yield started


def expected(*inputs: list[int]) -> list[list[float]]:
    made = ToyEmbedder().embed(inputs).astype(np.float64)
    scaled: list[list[float]] = (made / np.linalg.norm(made, axis=1, keepdims=True)).tolist()
    return scaled


@pytest.mark.parametrize("model", ["vectors", "far"])
def test_the_sdk_gets_the_vectors(server: Running, model: str) -> None:
    texts = ["Once upon", "a", "time"]
    with server.client() as client:  # which asks for base64 by itself
        answer = client.embeddings.create(model=model, input=texts)
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.model == model
    ids = [list(text.encode()) for text in texts]
    np.testing.assert_allclose([one.embedding for one in answer.data], expected(*ids), atol=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == len("Once uponatime")


def test_the_answer_is_what_openai_publishes(server: Running) -> None:
    answer = server.post(ASK, PATH)
    made = CreateEmbeddingResponse.model_validate_json(answer.text, strict=True)
    assert len(made.data[0].embedding) == 16
    assert np.linalg.norm(made.data[0].embedding) == pytest.approx(1, abs=1e-6)


def test_the_queue_is_bounded(start: Callable[[Config], Running]) -> None:
    """By requests: one with many inputs is one."""
    slow = {**EMBED, "options": {"task": "embed", "step_seconds": 0.5}, "queue": {"length": 1}}
    server = start({"models": {"vectors": slow}})
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(server.post, {**ASK, "input": ["a"] * 40}, PATH) for _ in range(3)]
        answers = sorted((one.result() for one in asked), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert answers[-1].json()["error"]["code"] == "overloaded"
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_base64_is_the_same_numbers(server: Running) -> None:
    numbers = server.post(ASK, PATH).json()["data"][0]["embedding"]
    coded = server.post({**ASK, "encoding_format": "base64"}, PATH).json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(coded), "<f4").tolist() == numbers


def test_ids_are_the_text_they_spell(server: Running) -> None:
    ids = list(b"Once upon a time")
    own = server.post(ASK, PATH).json()["data"]
    assert server.post({**ASK, "input": ids}, PATH).json()["data"] == own
    assert server.post({**ASK, "input": [ids]}, PATH).json()["data"] == own


def test_control_tokens_in_a_text_are_text(server: Running) -> None:
    answer = server.post({**ASK, "input": "<|im_end|>"}, PATH).json()
    assert answer["usage"]["prompt_tokens"] == len("<|im_end|>")


def test_fewer_dimensions_are_the_first_ones_scaled_again(server: Running) -> None:
    whole = np.array(server.post(ASK, PATH).json()["data"][0]["embedding"])
    short = server.post({**ASK, "dimensions": 4}, PATH).json()["data"][0]["embedding"]
    np.testing.assert_allclose(short, whole[:4] / np.linalg.norm(whole[:4]), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": {"a": 1}}, "input"),
        ({"input": None}, "input"),
        ({"input": [999]}, "input"),
        ({"input": [[1], [999]]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 17}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"input_type": "query"}, "input_type"),
        ({"dimesions": 4}, "dimesions"),
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_what_is_wrong_is_named(server: Running, change: dict[str, Any], param: str) -> None:
    answer = server.post({**ASK, **change}, PATH)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("model", ["vectors", "far"])
def test_an_input_over_the_context_names_both_numbers(server: Running, model: str) -> None:
    answer = server.post({"model": model, "input": ["a", "x" * 3000]}, PATH)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["param"] == "input[1]"
    assert "3000" in error["message"]
    assert "2048" in error["message"]


def test_a_model_of_text_names_those_that_embed(server: Running) -> None:
    error = server.post({**ASK, "model": "toy"}, PATH).json()["error"]
    assert error["param"] == "model"
    assert "'vectors', 'far'" in error["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/completions", {"prompt": "Hi"}),
        ("/responses", {"input": "Hi"}),
    ],
)
def test_a_model_of_vectors_makes_no_text(server: Running, path: str, body: dict[str, Any]) -> None:
    answer = server.post({**body, "model": "vectors"}, path)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"
    assert "/v1/embeddings" in answer.json()["error"]["message"]


def test_its_page_tells_of_its_vectors(server: Running) -> None:
    page = server.http.get(f"{server.url}/models/far").json()
    assert page["embedding"] == {
        "dimensions": 16,
        "dimensions_can_be_lowered": True,
        "normalized": True,
    }


def test_who_leaves_frees_the_queue(start: Callable[[Config], Running]) -> None:
    slow = {**TOY, "options": {"task": "embed", "step_seconds": 0.05, "max_length": 8192}}
    server = start({"models": {"vectors": slow}})
    many = {**ASK, "input": ["x" * 5000] * 200}  # each a batch of its own: ten seconds
    started = time.monotonic()
    with pytest.raises(Exception, match="timed out"):
        server.post(many, PATH, timeout=0.5)
    server.wait_idle("vectors", 2.0)
    assert time.monotonic() - started < 4
    assert server.post(ASK, PATH).status_code == 200


def test_a_crash_is_told_and_survived(start: Callable[[Config], Running]) -> None:
    slow = {"task": "embed", "step_seconds": 0.3}
    server = start({"models": {"vectors": {**TOY, "options": slow, "placement": "process"}}})
    generator: Any = server.models.running("vectors").generator
    with OpenAI(base_url=server.url, api_key="any", max_retries=0, timeout=10) as client:
        assert client.embeddings.create(model="vectors", input="a").data
    os.kill(generator.supervisor.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (answer := server.post(ASK, PATH)).status_code != 200:
        assert answer.status_code in (500, 503)
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
