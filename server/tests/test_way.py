"""The way of a request, with the values that really occur."""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_core.text import byte_tokenizer
from enginebay_server.explain import TokenText, Way, begin_walk, token_texts
from enginebay_server.parsers import Dialect, choose_dialect
from enginebay_server.prompt import PromptMaker
from enginebay_server.schema.explain import ExplainRequest
from enginebay_server.schema.reading import read

HELLO = [{"role": "user", "content": "你好"}]


async def walk(model: RunningModel, dialect: Dialect, **asked: Any) -> Way:
    body = {"model": model.name, "temperature": 0, **asked}
    prompts = PromptMaker(workers=1)
    try:
        begun = await begin_walk(
            read(ExplainRequest, body), model, dialect, prompts, reject_unknown=True
        )
        return await begun.finish(body)
    finally:
        prompts.close()


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    model = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield model
    model.close()


@pytest.fixture
async def way(toy: RunningModel) -> Way:
    return await walk(
        toy,
        Dialect(),
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "你好 <|im_end|>"},
        ],
        max_tokens=9,
    )


async def test_the_stops_follow_from_each_other(way: Way, toy: RunningModel) -> None:
    roles = [message["role"] for message in way.request["messages"]]
    assert roles == ["system", "user"]
    assert way.template.endswith("<|im_start|>assistant\n")
    assert "你好" in way.template
    assert [token for text in way.prompt for token in text.ids] == list(way.ids[: way.cut])
    assert "".join(text.text for text in way.prompt) == way.template
    assert [chosen.id for chosen in way.output] == list(way.ids[way.cut :])
    assert toy.tokenizer.decode(way.ids[way.cut :]) == way.content


async def test_user_text_that_spells_control_tokens_stays_text(way: Way) -> None:
    controls = [text for text in way.prompt if text.control]
    assert [text.text for text in controls] == [
        *("<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>")
    ]


async def test_greedy_takes_the_most_likely(way: Way) -> None:
    for chosen in way.output:
        assert chosen.probability is not None
        assert len(chosen.alternatives) == 3
        others = [other.probability or 0 for other in chosen.alternatives]
        assert chosen.probability >= others[0] >= others[1] >= others[2] > 0
        assert chosen.id not in {other.id for other in chosen.alternatives}


async def test_whole_and_stream_are_one_answer(way: Way) -> None:
    completion = way.completion
    assert completion["object"] == "chat.completion"
    assert completion["id"].startswith("chatcmpl-")
    [choice] = completion["choices"]
    assert choice["message"]["content"] == way.content
    assert choice["finish_reason"] == way.finish == "length"
    cached = completion["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert completion["usage"] == {
        "prompt_tokens": way.cut,
        "completion_tokens": 9,
        "total_tokens": way.cut + 9,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    assert way.stream[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in way.stream[:-1]]
    assert {chunk["id"] for chunk in chunks} == {completion["id"]}
    assert {chunk["created"] for chunk in chunks} == {completion["created"]}
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
    assert "".join(pieces) == way.content
    assert chunks[-1]["usage"] == completion["usage"]


async def test_every_stop_names_files_that_are_there(way: Way) -> None:
    assert list(way.files) == ["request", "template", "prompt", "output", "text", "wire"]
    for files in way.files.values():
        assert files
        for file in files:
            module = file.removesuffix(".py").replace("/", ".")
            assert importlib.util.find_spec(module) is not None, file


TEMPLATE = """
{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content }}
{{- '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n<think>' }}"""


@pytest.fixture
def thinker(tmp_path: Path) -> Path:
    """A tokenizer whose template leaves the model thinking."""
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: token for token, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    return tmp_path


async def test_thinking_is_told_from_the_answer(thinker: Path) -> None:
    config = ModelConfig(backend="toy", model=str(thinker), tokenizer="huggingface")
    model = open_model("thinker", config, lambda *_: None)
    try:
        dialect = choose_dialect(model.tokenizer, config)
        way = await walk(model, dialect, messages=HELLO, max_tokens=5)
    finally:
        model.close()
    assert [text.text for text in way.prompt if text.control][-1] == "<think>"
    assert [len(text.ids) for text in way.prompt if text.text == "你"] == [3]
    assert (way.content, len(way.reasoning)) == ("", 5)
    assert way.completion["choices"][0]["message"]["reasoning_content"] == way.reasoning
    assert "enginebay_server/parsers/reasoning.py" in way.files["text"]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([*b"a", *"你".encode()], [((97,), "a"), ((228, 189, 160), "你")]),
        ([228, 189, 257, 97], [((228, 189), "\ufffd"), ((257,), "<|im_start|>"), ((97,), "a")]),
        ([97, 228], [((97,), "a"), ((228,), "\ufffd")]),
    ],
)
def test_ids_are_shown_by_whole_characters(
    ids: Sequence[int], expected: list[tuple[tuple[int, ...], str]]
) -> None:
    found = list(token_texts(byte_tokenizer.load(Path()), ids))
    assert found == [TokenText(ids, text, ids == (257,)) for ids, text in expected]


async def test_a_stop_string_ends_the_way(toy: RunningModel) -> None:
    whole = await walk(toy, Dialect(), messages=HELLO, max_tokens=40)
    stop = whole.content[3:5]
    way = await walk(toy, Dialect(), messages=HELLO, max_tokens=40, stop=stop)
    assert (way.content, way.finish) == (whole.content[:3], "stop")
    assert 5 <= len(way.output) < 40, "the engine went on"


async def test_a_seed_repeats_the_way(toy: RunningModel) -> None:
    asked = {"messages": HELLO, "max_tokens": 20, "temperature": 1.5, "seed": 11}
    first, again = [await walk(toy, Dialect(), **asked) for _ in range(2)]
    assert first.output == again.output
    assert (await walk(toy, Dialect(), **{**asked, "seed": 12})).output != first.output
