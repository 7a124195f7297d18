"""Two lines of config put another engine under the same API, and nobody notices."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Config, Running

from enginebay_core.api import EngineBayError
from enginebay_core.environments import environment_of, interpreter_of

CONFIG = """
[models.chat]
backend = "numpy"
model = "pocket"
"""
SWAPPED = {
    "transformers": 'options = { device = "cpu", dtype = "float32" }',
    "onnx": "options = { threads = 1 }",
    "openvino": "options = { threads = 1 }",
    "optimum": "options = { threads = 1 }",
}
NEEDED = {
    "transformers": "torch",
    "onnx": "onnxruntime",
    "openvino": "openvino_genai",
    "optimum": "enginebay_optimum",
}
QUESTIONS = ["你好!请介绍一下你自己。", "Hello! Who are you?", "What is EngineBay?"]


def require_environment(backend: str) -> None:
    """Skips with the command where the backend must have one that is not made."""
    name = environment_of(backend)
    try:
        _ = name and interpreter_of(name, "this test")
    except EngineBayError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("backend", SWAPPED)
def test_two_lines_swap_the_engine(
    backend: str,
    start: Callable[[Config], Running],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(NEEDED[backend], reason=f"the {backend} backend is not installed")
    require_environment(backend)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # exports go there
    swapped = CONFIG.replace('backend = "numpy"', f'backend = "{backend}"\n{SWAPPED[backend]}')
    numpy, other = (start(tomllib.loads(text)) for text in (CONFIG, swapped))
    assert numpy.models.running("chat").backend == "numpy"
    assert other.models.running("chat").backend == backend
    for question in QUESTIONS:
        body = {
            "model": "chat",
            "messages": [
                {"role": "system", "content": "你是一个乐于助人的 AI 助手。"},
                {"role": "user", "content": question},
            ],
            "temperature": 0,
            "max_tokens": 48,
        }
        one, two = numpy.post(body).json(), other.post(body).json()
        assert one["choices"][0]["message"]["content"]
        assert one["choices"] == two["choices"]
        if backend != "openvino":  # it keeps no prompts, so nothing of them is cached
            assert one["usage"] == two["usage"]
