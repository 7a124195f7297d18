"""Two lines of config put another engine under the same API, and nobody notices."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest
from tests.server.conftest import Config, Running

pytest.importorskip("torch", reason="the transformers backend is not installed")

CONFIG = """
[models.chat]
backend = "numpy"
model = "pocket"
"""
SWAPPED = CONFIG.replace(
    'backend = "numpy"',
    'backend = "transformers"\noptions = { device = "cpu", dtype = "float32" }',
)
QUESTIONS = ["你好!请介绍一下你自己。", "Hello! Who are you?", "What is EngineBay?"]


def test_two_lines_swap_the_engine(start: Callable[[Config], Running]) -> None:
    numpy, transformers = (start(tomllib.loads(text)) for text in (CONFIG, SWAPPED))
    assert numpy.models.running("chat").backend == "numpy"
    assert transformers.models.running("chat").backend == "transformers"
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
        one, other = numpy.post(body).json(), transformers.post(body).json()
        assert one["choices"][0]["message"]["content"]
        assert one["choices"] == other["choices"]
        assert one["usage"] == other["usage"]
