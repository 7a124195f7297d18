"""Log probabilities on the wire, by what the sampler itself says."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from tests.server.conftest import Running

from enginebay_core.api import Conversation, GenerationRequest, Message, SamplingParams
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hi"}]
BODY: dict[str, Any] = {"model": "toy", "messages": HELLO, "max_tokens": 20, "logprobs": True}
GREEDY: dict[str, Any] = {**BODY, "temperature": 0, "top_logprobs": 5}
PLAIN: dict[str, Any] = {"model": "toy", "prompt": "Once upon", "max_tokens": 20, "temperature": 0}
PATH = "/completions"
HALVES = {str(byte): 30 for byte in "é".encode()}
"""A bias towards two bytes that, in this order, make a character."""


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    model = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield model
    model.close()


def choice_of(server: Running, body: dict[str, Any], path: str = "/chat/completions") -> Any:
    answer = server.post(body, path)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def chunks_of(server: Running, body: dict[str, Any], path: str = "/chat/completions") -> list[Any]:
    """The choices of all chunks, in order."""
    text = server.post({**body, "stream": True}, path).text
    frames = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert frames[-1] == "[DONE]"
    return [json.loads(frame)["choices"][0] for frame in frames[:-1]]


def joined(entries: list[Any]) -> bytes:
    return b"".join(bytes(entry["bytes"]) for entry in entries)


def test_they_are_the_samplers_own(toys: Running, toy: RunningModel) -> None:
    prompt = toy.tokenizer.render(Conversation((Message("user", "Say hi"),))).ids
    sampling = SamplingParams(temperature=0.7, seed=3, logprobs=4)
    request = GenerationRequest(prompt, 20, sampling)

    async def told() -> list[Any]:
        return [entry async for s in toy.generator.generate(request) for entry in s.logprobs]

    body = {**BODY, "temperature": 0.7, "seed": 3, "top_logprobs": 4}
    content = choice_of(toys, body)["logprobs"]["content"]
    for entry, (own, *top) in zip(content, asyncio.run(told()), strict=True):
        assert (entry["bytes"], entry["logprob"]) == ([own.id], own.logprob)
        expected = [([one.id], one.logprob) for one in top]
        assert [(one["bytes"], one["logprob"]) for one in entry["top_logprobs"]] == expected


@pytest.mark.parametrize("temperature", [0, 1])
def test_they_are_a_distribution(client: OpenAI, temperature: float) -> None:
    answer = client.chat.completions.create(
        model="toy",
        messages=HELLO,
        temperature=temperature,
        seed=1,
        max_tokens=20,
        logprobs=True,
        top_logprobs=20,
    )
    [choice] = answer.choices
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert "".join(entry.token for entry in content) == choice.message.content
    assert len(content) == 20
    for entry in content:
        values = [one.logprob for one in entry.top_logprobs]
        assert len(values) == 20
        assert values == sorted(values, reverse=True)
        assert sum(map(math.exp, values)) <= 1 + 1e-9
        same = [one.logprob for one in entry.top_logprobs if one.bytes == entry.bytes]
        assert same in ([entry.logprob], [])
        if temperature == 0:
            assert entry.token == entry.top_logprobs[0].token


def test_without_top_logprobs_each_token_has_its_own(toys: Running) -> None:
    for none in ({}, {"top_logprobs": 0}, {"top_logprobs": None}):
        content = choice_of(toys, {**BODY, **none})["logprobs"]["content"]
        assert len(content) == 20
        assert all(entry["top_logprobs"] == [] for entry in content)


@pytest.mark.parametrize("off", [{}, {"logprobs": False}, {"logprobs": None}, {"top_logprobs": 0}])
def test_nobody_who_did_not_ask_is_told(toys: Running, off: dict[str, Any]) -> None:
    body = {"model": "toy", "messages": HELLO, "max_tokens": 5, **off}
    assert choice_of(toys, body)["logprobs"] is None
    assert all("logprobs" not in chunk for chunk in chunks_of(toys, body))
    plain = {"model": "toy", "prompt": "x", "max_tokens": 5}
    assert choice_of(toys, plain, PATH)["logprobs"] is None
    assert all(chunk["logprobs"] is None for chunk in chunks_of(toys, plain, PATH))


CASES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"temperature": 1, "seed": 5},
    "half characters": {"temperature": 1, "seed": 5, "logit_bias": HALVES, "max_tokens": 60},
    "stop": {"stop": ["never", "STOP"]},
}


@pytest.mark.parametrize("case", CASES)
def test_a_stream_tells_the_same_with_the_text(toys: Running, case: str) -> None:
    body = {**GREEDY, **CASES[case]}
    if "stop" in body:
        body["stop"] = choice_of(toys, GREEDY)["message"]["content"][6:9]
    whole = choice_of(toys, body)
    *chunks, last = chunks_of(toys, body)
    content = ""
    entries: list[Any] = []
    for chunk in chunks:
        told = chunk.get("logprobs")
        assert (told is not None) == bool(chunk["delta"]["content"])
        content += chunk["delta"]["content"]
        entries += told["content"] if told else []
        assert joined(entries).decode(errors="replace") == content
    entries += (last.get("logprobs") or {"content": []})["content"]
    assert content == whole["message"]["content"]
    assert {"content": entries, "refusal": None} == whole["logprobs"]


def test_half_a_character_has_its_bytes(toys: Running) -> None:
    choice = choice_of(toys, {**GREEDY, **CASES["half characters"]})
    content = choice["logprobs"]["content"]
    assert "é" in choice["message"]["content"]
    assert joined(content).decode(errors="replace") == choice["message"]["content"]
    assert {entry["token"] for entry in content} == {"\ufffd"}
    assert {tuple(entry["bytes"]) for entry in content} == {(byte,) for byte in "é".encode()}


def test_what_completed_the_stop_string_is_the_last_one_told(toys: Running) -> None:
    text = choice_of(toys, GREEDY)["message"]["content"]
    answer = toys.post({**GREEDY, "stop": text[6:9]}).json()
    [choice] = answer["choices"]
    content = choice["logprobs"]["content"]
    assert choice["message"]["content"] == text[: text.index(text[6:9])]
    assert joined(content).decode() == choice["message"]["content"] + text[6:9]
    assert len(content) == answer["usage"]["completion_tokens"]


def test_an_answer_without_tokens_has_an_empty_list(toys: Running) -> None:
    choice = choice_of(toys, {**GREEDY, "logit_bias": {"258": 100}})  # the token that ends it
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"] == {"content": [], "refusal": None}


def test_each_choice_has_its_own(toys: Running) -> None:
    body = {**GREEDY, "temperature": 1, "seed": 5, "n": 3}
    choices = toys.post(body).json()["choices"]
    streamed: list[list[Any]] = [[], [], []]
    for chunk in chunks_of(toys, body):
        streamed[chunk["index"]] += (chunk.get("logprobs") or {"content": []})["content"]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    for choice, entries in zip(choices, streamed, strict=True):
        assert joined(entries).decode() == choice["message"]["content"]
        assert choice["logprobs"]["content"] == entries


def test_the_sdks_stream_helper(client: OpenAI) -> None:
    asked: dict[str, Any] = {**GREEDY, "stop": "\n"}
    asked["logit_bias"] = {"10": 6}  # so that it comes to an end, which the helper insists on
    asked["max_tokens"] = 200
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].finish_reason == "stop"
    assert whole.choices[0].logprobs is not None
    with client.chat.completions.stream(**asked) as stream:
        told = [
            e for event in stream if event.type == "logprobs.content.delta" for e in event.content
        ]
        final = stream.get_final_completion()
    assert final.choices[0].logprobs == whole.choices[0].logprobs
    assert told == whole.choices[0].logprobs.content


def test_completions_have_the_older_shape(client: OpenAI) -> None:
    [choice] = client.completions.create(**PLAIN, logprobs=3).choices
    told = choice.logprobs
    assert told is not None
    assert told.tokens == list(choice.text)
    assert told.text_offset == list(range(20))
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    for token, logprob, top in zip(
        choice.text, told.token_logprobs, told.top_logprobs, strict=True
    ):
        assert len(top) == 3
        assert list(top.values()) == sorted(top.values(), reverse=True)
        assert top[token] == logprob == max(top.values())


def test_completions_and_chats_tell_the_same(toys: Running) -> None:
    sampled = {**PLAIN, "temperature": 1.5, "seed": 2}
    ids = list(b"<no template>")
    old = choice_of(toys, {**sampled, "prompt": ids, "logprobs": 2}, PATH)["logprobs"]
    own = choice_of(toys, {**sampled, "prompt": ids, "logprobs": 0}, PATH)["logprobs"]
    assert old["token_logprobs"] == own["token_logprobs"]
    unlikely = 0
    for token, logprob, top, alone in zip(
        old["tokens"], old["token_logprobs"], old["top_logprobs"], own["top_logprobs"], strict=True
    ):
        assert top[token] == logprob
        assert alone == {token: logprob}
        unlikely += len(top) == 3
    assert unlikely  # a token outside the best is there all the same


@pytest.mark.parametrize("case", CASES)
def test_a_streamed_completion_tells_the_same(toys: Running, case: str) -> None:
    body = {**PLAIN, "logprobs": 5, **CASES[case]}
    if "stop" in body:
        body["stop"] = choice_of(toys, PLAIN, PATH)["text"][6:9]
    whole = choice_of(toys, body, PATH)
    streamed: dict[str, list[Any]] = {name: [] for name in whole["logprobs"]}
    text = ""
    for chunk in chunks_of(toys, body, PATH):
        text += chunk["text"]
        for name, values in chunk["logprobs"].items():
            streamed[name] += values
    assert text == whole["text"]
    assert streamed == whole["logprobs"]


def test_offsets_count_characters(toys: Running) -> None:
    body = {**PLAIN, "logprobs": 1, **CASES["half characters"]}
    choice = choice_of(toys, body, PATH)
    told = choice["logprobs"]
    assert set(told["tokens"]) == {"bytes:\\xc3", "bytes:\\xa9"}
    offsets = told["text_offset"]
    assert offsets == sorted(offsets)
    shown = [
        choice["text"][offset]
        for place, offset in enumerate(offsets[:-1])
        if offset > max(offsets[:place], default=-1)  # the first of those that came together
        and told["tokens"][place : place + 2] == ["bytes:\\xc3", "bytes:\\xa9"]
    ]
    assert len(shown) > 3
    assert set(shown) == {"é"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"logprobs": 1}, "logprobs"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 5}, "top_logprobs"),
        ({"logprobs": True, "prompt_logprobs": 1}, "prompt_logprobs"),
    ],
)
def test_chat_fields_that_do_not_fit(toys: Running, change: dict[str, Any], param: str) -> None:
    answer = toys.post({"model": "toy", "messages": HELLO, "max_tokens": 2, **change})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert param in answer.json()["error"]["message"]


def test_the_message_says_what_top_logprobs_needs(toys: Running) -> None:
    answer = toys.post({"model": "toy", "messages": HELLO, "top_logprobs": 5})
    message = "top_logprobs is 5: it needs logprobs to be true."
    assert answer.json()["error"]["message"] == message


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 1, "top_logprobs": 1}, "top_logprobs"),
    ],
)
def test_completion_fields_that_do_not_fit(
    toys: Running, change: dict[str, Any], param: str
) -> None:
    answer = toys.post({**PLAIN, **change}, PATH)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert param in answer.json()["error"]["message"]
