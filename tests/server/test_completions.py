"""``/v1/completions``: prompts without a template."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI
from tests.server.conftest import Running

PATH = "/completions"
GREEDY: dict[str, Any] = {"model": "toy", "prompt": "Once upon", "temperature": 0, "max_tokens": 12}


def test_a_completion_has_openais_shape(client: OpenAI) -> None:
    answer = client.completions.create(**GREEDY)
    assert answer.id.startswith("cmpl-")
    assert answer.object == "text_completion"
    [choice] = answer.choices
    assert len(choice.text) == 12
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len("Once upon")
    assert answer.usage.total_tokens == len("Once upon") + 12


def test_token_ids_are_the_prompt_they_spell(toys: Running) -> None:
    ids = list(b"Once upon")
    expected = toys.post(GREEDY, PATH).json()["choices"]
    assert toys.post({**GREEDY, "prompt": ids}, PATH).json()["choices"] == expected
    assert toys.post({**GREEDY, "prompt": [ids]}, PATH).json()["choices"] == expected


def test_control_tokens_in_a_prompt_are_meant(toys: Running) -> None:
    answer = toys.post({**GREEDY, "prompt": "<|im_start|>"}, PATH).json()
    assert answer["usage"]["prompt_tokens"] == 1


def test_several_prompts_with_n_choices_each(toys: Running) -> None:
    body = {**GREEDY, "prompt": ["Once upon", "A longer prompt"], "n": 2}
    answer = toys.post(body, PATH).json()
    alone = toys.post(GREEDY, PATH).json()["choices"][0]["text"]
    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert texts[0] == texts[1] == alone
    assert texts[2] == texts[3] != alone
    assert answer["usage"]["prompt_tokens"] == len("Once upon") + len("A longer prompt")


def test_the_default_length_is_openais(toys: Running) -> None:
    answer = toys.post({"model": "toy", "prompt": "x"}, PATH).json()
    assert answer["usage"]["completion_tokens"] == 16


def test_a_stream_joins_to_the_whole(client: OpenAI) -> None:
    stream = client.completions.create(
        **GREEDY, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    whole = client.completions.create(**GREEDY)
    assert text == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks[:-1]][-1] == "length"
    assert chunks[-1].usage == whole.usage


def test_stop_cuts_before_the_string(toys: Running) -> None:
    text = toys.post(GREEDY, PATH).json()["choices"][0]["text"]
    cut = toys.post({**GREEDY, "stop": ["never this", text[3:5]]}, PATH).json()
    assert cut["choices"][0]["text"] == text[: text.index(text[3:5])]
    assert cut["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "prompt",
    ["", [], [[]], [""], None, [-1], [999_999], [2**63], ["a", 1], [1.5], [True], {"a": 1}],
    ids=json.dumps,
)
def test_prompts_that_are_none(toys: Running, prompt: object) -> None:
    answer = toys.post({**GREEDY, "prompt": prompt}, PATH)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("prompt")


@pytest.mark.parametrize(
    ("field", "value"), [("echo", True), ("best_of", 2), ("suffix", "x"), ("prompt_logprobs", 0)]
)
def test_what_is_not_done_is_refused(toys: Running, field: str, value: object) -> None:
    answer = toys.post({**GREEDY, field: value}, PATH)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert answer.json()["error"]["code"] == "unsupported_parameter"


def test_too_many_choices_at_once(toys: Running) -> None:
    answer = toys.post({**GREEDY, "prompt": ["a"] * 65, "n": 2}, PATH)
    assert answer.status_code == 400
    assert "130 choices" in answer.json()["error"]["message"]
