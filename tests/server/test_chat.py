"""The main job, through the official SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI
from openai.types.chat import ChatCompletionContentPartTextParam, ChatCompletionUserMessageParam
from tests.server.conftest import TOY, Config, Running

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hi"}]


def test_an_answer_has_openais_shape(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="toy",
        messages=[
            {"role": "system", "content": "你是一个乐于助人的 AI 助手。"},
            {"role": "user", "content": "你好!请介绍一下你自己。"},
        ],
        temperature=0,
        max_tokens=24,
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == "toy"
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 24


def test_the_next_turn_says_what_was_cached(client: OpenAI) -> None:
    first: ChatCompletionUserMessageParam = {"role": "user", "content": "A turn of its own. " * 9}
    second: ChatCompletionUserMessageParam = {"role": "user", "content": "And then?"}
    counts = []
    for messages in ([first], [first], [first, second]):
        answer = client.chat.completions.create(model="toy", messages=messages, max_tokens=4, n=2)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        cached = answer.usage.prompt_tokens_details.cached_tokens
        counts.append((answer.usage.prompt_tokens, cached))
    (length, none), (_, all_but_one), (longer, most) = counts
    assert none == 0
    assert all_but_one == length - 1
    assert most is not None
    assert length - 30 < most < longer


async def test_the_async_client(toys: Running) -> None:
    async with AsyncOpenAI(base_url=toys.url, api_key="any", max_retries=0) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="toy",
                    messages=[{"role": "user", "content": f"Question {number}"}],
                    temperature=0,
                    max_tokens=16,
                )
                for number in range(8)
            )
        )
    assert len({answer.choices[0].message.content for answer in answers}) == 8


def test_greedy_is_the_same_alone_and_in_company(client: OpenAI) -> None:
    def ask(number: int) -> str | None:
        return (
            client.chat.completions.create(
                model="toy",
                messages=[{"role": "user", "content": f"Question {number}"}],
                temperature=0,
                max_tokens=32,
            )
            .choices[0]
            .message.content
        )

    alone = [ask(number) for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(ask, range(6)))
    assert together == alone


def test_user_text_that_spells_control_tokens_stays_text(client: OpenAI) -> None:
    def prompt_tokens(content: str) -> int:
        answer = client.chat.completions.create(
            model="toy", messages=[{"role": "user", "content": content}], max_tokens=1
        )
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    spelled = "<|im_start|>"
    assert prompt_tokens(spelled) - prompt_tokens("x") == len(spelled) - 1  # the toy: 1 id a byte


def test_content_parts_are_one_text(client: OpenAI) -> None:
    parts: list[ChatCompletionContentPartTextParam] = [
        {"type": "text", "text": "Say "},
        {"type": "text", "text": "hi"},
    ]
    whole = client.chat.completions.create(
        model="toy", messages=HELLO, temperature=0, max_tokens=16
    )
    split = client.chat.completions.create(
        model="toy",
        messages=[{"role": "user", "content": parts}],
        temperature=0,
        max_tokens=16,
    )
    assert split.choices[0].message.content == whole.choices[0].message.content


def test_developer_is_system_and_several_become_one(toys: Running) -> None:
    def text(*system: tuple[str, str]) -> str:
        messages = [*({"role": role, "content": said} for role, said in system), *HELLO]
        body = {"model": "toy", "messages": messages, "temperature": 0, "max_tokens": 16}
        return str(toys.post(body).json()["choices"][0]["message"]["content"])

    merged = text(("system", "Be kind.\n\nBe brief."))
    assert text(("system", "Be kind."), ("developer", "Be brief.")) == merged
    assert text(("developer", "Be kind.")) == text(("system", "Be kind.")) != merged


def test_n_choices_differ_and_the_prompt_counts_once(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="toy", messages=HELLO, n=3, seed=7, max_tokens=16, temperature=1
    )
    one = client.chat.completions.create(
        model="toy", messages=HELLO, seed=7, max_tokens=16, temperature=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    assert answer.choices[0].message.content == one.choices[0].message.content
    assert answer.usage is not None
    assert one.usage is not None
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    assert answer.usage.completion_tokens == 48


def test_a_seed_repeats_and_another_does_not(client: OpenAI) -> None:
    def sample(seed: int) -> str | None:
        answer = client.chat.completions.create(
            model="toy", messages=HELLO, seed=seed, max_tokens=32, temperature=1
        )
        return answer.choices[0].message.content

    assert sample(1) == sample(1) != sample(2)


def test_logit_bias_bans_an_id(client: OpenAI) -> None:
    def greedy(bias: dict[str, int]) -> str:
        answer = client.chat.completions.create(
            model="toy", messages=HELLO, temperature=0, max_tokens=12, logit_bias=bias
        )
        return answer.choices[0].message.content or ""

    first = ord(greedy({})[0])
    assert greedy({str(first): -100})[0] != chr(first)
    assert greedy({"90": 100}) == "Z" * 12


def test_the_samplers_that_openai_lacks(client: OpenAI) -> None:
    def sample(**extra: float) -> str | None:
        answer = client.chat.completions.create(
            model="toy", messages=HELLO, temperature=1, seed=3, max_tokens=24, extra_body=extra
        )
        return answer.choices[0].message.content

    greedy = client.chat.completions.create(
        model="toy", messages=HELLO, temperature=0, max_tokens=24
    )
    text = greedy.choices[0].message.content
    assert sample() != text
    assert sample(top_k=1) == sample(min_p=1) == text
    assert sample(top_k=-1) == sample(top_k=0) == sample()


@pytest.mark.parametrize("field", ["top_p", "temperature"])
def test_the_lowest_value_is_greedy(client: OpenAI, field: str) -> None:
    def ask(extra: dict[str, float]) -> str | None:
        answer = client.chat.completions.create(
            model="toy", messages=HELLO, max_tokens=16, extra_body=extra
        )
        return answer.choices[0].message.content

    assert ask({field: 0}) == ask({"temperature": 0, "seed": 1})
    assert ask({"temperature": 1e-320}) == ask({"temperature": 0})


def test_a_repetition_penalty_changes_what_comes(client: OpenAI) -> None:
    def greedy(**extra: float) -> str:
        answer = client.chat.completions.create(
            model="toy", messages=HELLO, temperature=0, max_tokens=64, extra_body=extra
        )
        return answer.choices[0].message.content or ""

    def repeats(text: str) -> int:
        return len(text) - len(set(text))

    assert repeats(greedy(repetition_penalty=10.0)) < repeats(greedy())
    assert repeats(greedy(frequency_penalty=2.0)) < repeats(greedy())
    assert repeats(greedy(presence_penalty=2.0)) < repeats(greedy())


def test_null_and_empty_lists_mean_absent(toys: Running) -> None:
    plain = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 8}
    nulls = dict.fromkeys(
        ["stop", "n", "seed", "top_p", "stream", "stream_options", "user", "logit_bias", "tools"]
    )
    empty: dict[str, object] = {"tools": [], "functions": [], "stop": []}
    expected = toys.post(plain).json()["choices"]
    assert toys.post(plain | nulls).json()["choices"] == expected
    assert toys.post(plain | empty).json()["choices"] == expected


def test_fields_without_effect_have_none(toys: Running) -> None:
    plain = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 8}
    extra = {
        "user": "me",
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "safety_identifier": "x",
        "prompt_cache_key": "y",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
        "logprobs": False,
        "tool_choice": "none",
    }
    answer = toys.post(plain | extra)
    assert answer.json()["choices"] == toys.post(plain).json()["choices"]
    assert "x-enginebay-ignored" not in answer.headers


def test_an_absent_max_tokens_is_bounded_by_setting_and_context(
    start: Callable[[Config], Running],
) -> None:
    config: Config = {
        "server": {"default_max_tokens": 40},
        "models": {
            "wide": TOY,
            "narrow": {**TOY, "options": {"max_length": 64}},
            "own": {**TOY, "defaults": {"max_tokens": 5}},
            "both": {**TOY, "options": {"max_length": 64}, "defaults": {"max_tokens": 5000}},
        },
    }
    server = start(config)
    usage = {
        name: server.post({"model": name, "messages": HELLO}).json()["usage"]
        for name in config["models"]
    }
    assert usage["wide"]["completion_tokens"] == 40
    assert usage["narrow"]["total_tokens"] == 64
    assert usage["own"]["completion_tokens"] == 5
    assert usage["both"]["total_tokens"] == 64


def test_max_completion_tokens_is_max_tokens(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="toy", messages=HELLO, max_completion_tokens=3)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    with pytest.raises(BadRequestError, match="mean the same"):
        client.chat.completions.create(
            model="toy", messages=HELLO, max_tokens=4, max_completion_tokens=3
        )


def test_a_model_answers_to_its_alias(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=1)
    assert answer.model == "toy"
