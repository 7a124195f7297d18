"""``/v1/completions``: prompts without a template."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Completion
from tests.server.conftest import TOY, Config, Running

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
    ("field", "value"), [("best_of", 2), ("suffix", "x"), ("prompt_logprobs", 0)]
)
def test_what_is_not_done_is_refused(toys: Running, field: str, value: object) -> None:
    answer = toys.post({**GREEDY, field: value}, PATH)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert answer.json()["error"]["code"] == "unsupported_parameter"


def test_an_echo_begins_with_the_prompt(toys: Running) -> None:
    alone = toys.post(GREEDY, PATH).json()["choices"][0]["text"]
    answer = toys.post({**GREEDY, "echo": True}, PATH).json()
    assert answer["choices"][0]["text"] == "Once upon" + alone
    assert answer["usage"]["completion_tokens"] == 12
    ids = [257, *b"Once upon"]
    spelled = toys.post({**GREEDY, "prompt": ids, "echo": True}, PATH).json()
    assert spelled["choices"][0]["text"].startswith("<|im_start|>Once upon")


def test_a_streamed_echo_joins_to_the_whole(client: OpenAI) -> None:
    asked = {**GREEDY, "prompt": ["Once upon", "Two"], "n": 2, "echo": True}
    whole = client.completions.create(**asked)
    texts = [""] * 4
    for chunk in client.completions.create(**asked, stream=True):
        [choice] = chunk.choices
        texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]
    assert [text[:3] for text in texts] == ["Onc", "Onc", "Two", "Two"]


def test_prompt_tokens_have_no_log_probabilities(toys: Running) -> None:
    answer = toys.post({**GREEDY, "echo": True, "logprobs": 0}, PATH)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "logprobs"


def test_control_tokens_are_text_where_the_operator_says_so(
    start: Callable[[Config], Running],
) -> None:
    server = start({"models": {"toy": {**TOY, "control_in_prompts": False}}})
    answer = server.post({**GREEDY, "prompt": "<|im_start|>"}, PATH).json()
    assert answer["usage"]["prompt_tokens"] == len("<|im_start|>")


def test_answers_are_what_openai_publishes(toys: Running) -> None:
    asked = {**GREEDY, "n": 2, "logprobs": 2}
    Completion.model_validate_json(toys.post(asked, PATH).text, strict=True)
    stream = toys.post({**asked, "stream": True}, PATH).text
    events = [line[6:] for line in stream.split("\n\n") if line.startswith("data: {")]
    assert events
    for event in events:  # the published type has no null, which OpenAI sends until the end
        ended = event.replace('"finish_reason":null', '"finish_reason":"stop"')
        Completion.model_validate_json(ended, strict=True)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "x" * 3000}, "prompt"),
        ({"prompt": ["short", "x" * 3000]}, "prompt[1]"),
        ({"prompt": [[1], [1] * 3000]}, "prompt[1]"),
    ],
    ids=["text", "texts", "ids"],
)
def test_a_prompt_over_the_context_names_both_numbers(
    toys: Running, body: dict[str, Any], param: str
) -> None:
    answer = toys.post({**GREEDY, **body}, PATH)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["param"] == param
    assert "3000" in error["message"]
    assert "2048" in error["message"]


def test_too_many_choices_at_once(toys: Running) -> None:
    answer = toys.post({**GREEDY, "prompt": ["a"] * 65, "n": 2}, PATH)
    assert answer.status_code == 400
    assert "130 choices" in answer.json()["error"]["message"]
