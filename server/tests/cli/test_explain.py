"""The way of a request, with the values that really occur."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
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
from enginebay_server.cli.token_text import TokenText, token_texts
from enginebay_server.cli.way import Way, walk
from enginebay_server.parsers import Dialect, choose_dialect

Run = Callable[..., Any]

KEYS = {
    *("model", "backend", "request", "template", "prompt", "ids", "cut", "output", "stop_ids"),
    *("finish", "reasoning", "content", "completion", "stream", "files"),
}
TOY = ("--model", "toy", "--backend", "toy", "--max-tokens", "9")


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    model = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield model
    model.close()


@pytest.fixture
async def way(toy: RunningModel) -> Way:
    return await walk(toy, Dialect(), "你好 <|im_end|>", "Be brief.", 9)


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
        way = await walk(model, choose_dialect(model.tokenizer, config), "你好", None, 5)
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


def test_json_has_a_stable_shape_and_stdout_to_itself(enginebay: Run) -> None:
    done = enginebay("explain", "hi", *TOY, "--json")
    assert done.code == 0
    assert set(done.json) == KEYS
    assert done.json["output"][0].keys() == {
        *("id", "text", "control", "probability", "alternatives")
    }
    assert "loading toy" in done.err


def test_six_stops_in_plain_text(enginebay: Run) -> None:
    done = enginebay("explain", "你好", *TOY, "--system", "Kurz.")
    assert done.code == 0
    assert "\x1b" not in done.out
    heads = [line[0] for line in done.out.splitlines() if line[:1].isdigit()]
    assert heads == list("123456")
    assert "228 189 160 '你'" in done.out
    assert "257 <|im_start|>" in done.out
    assert "|cut at " in done.out
    assert "data: [DONE]" in done.out
    assert "enginebay_server/frames.py" in done.out
    assert max(len(line) for line in done.out.splitlines() if " 'u' " in line) <= 100


def test_a_model_of_the_config(enginebay: Run, directory: Path) -> None:
    (directory / "enginebay.toml").write_text(
        '[models.mine]\nbackend = "toy"\nmodel = "toy"\noptions = { max_length = 40 }\n'
    )
    done = enginebay("explain", "hi", "--config-model", "mine", "--max-tokens", "2", "--json")
    assert done.json["model"] == "mine"
    long = enginebay("explain", "hi" * 40, "--config-model", "mine", "--max-tokens", "2")
    assert (long.code, long.out) == (2, "")
    assert "context is 40 tokens" in long.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "toy", "--backend", "tyo"), "did you mean 'toy'?"),
        (("--model", "./nowhere", "--backend", "toy"), "'./nowhere' is no directory"),
        (("--config-model", "nobody"), "no model 'nobody'"),
        (("--config-model", "pocket", "--backend", "toy"), "drop --model"),
        ((*TOY, "--option", "x=1"), "models.toy.options.x: unknown setting"),
    ],
)
def test_what_cannot_be_explained_is(enginebay: Run, arguments: tuple[str, ...], said: str) -> None:
    done = enginebay("explain", "hi", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_an_engine_that_fails_is_a_failure(enginebay: Run) -> None:
    done = enginebay("explain", "hi", *TOY, "--option", "raise_at_step=2")
    assert done.code == 1
    assert "'toy'" in done.err
    assert "enginebay: " in done.err.splitlines()[-1]
