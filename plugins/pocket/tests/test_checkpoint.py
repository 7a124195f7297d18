"""The bundled checkpoint: what it is, and that Transformers reads it."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from enginebay_pocket import model
from enginebay_pocket.recipe.train import TEMPERATURE

HARD_TEXTS = [
    "你好!请介绍一下你自己。",
    "饕餮魑魅魍魉,𠮷野家,〇〇七",
    "👩‍👩‍👧‍👦 🏳️‍🌈 ☕️ café naïve Ωμέγα привет こんにちは 안녕",
    "  spaces\tand\r\n\r\nlines  \n",
    '12345.678e-9 {"a": [1, 2]} get_weather getWeather ISBN9780000',
    "\u0000\u200b\ufeff",
]


def test_the_files_are_those_that_transformers_reads() -> None:
    expected = {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
    }
    assert {path.name for path in model().iterdir()} == expected


def test_the_weights_are_small_and_half_precision() -> None:
    config = json.loads((model() / "config.json").read_text(encoding="utf-8"))
    assert (model() / "model.safetensors").stat().st_size <= 12_000_000
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["dtype"] == "float16"


def test_transformers_loads_it() -> None:
    loaded = AutoModelForCausalLM.from_pretrained(model())
    tokenizer = AutoTokenizer.from_pretrained(model())
    assert type(loaded).__name__ == "Qwen3ForCausalLM"
    assert AutoConfig.from_pretrained(model()).vocab_size == len(tokenizer)
    assert tokenizer.eos_token == "<|im_end|>"
    ends = [tokenizer.convert_tokens_to_ids(text) for text in ("<|im_end|>", "<|endoftext|>")]
    assert loaded.generation_config.eos_token_id == ends
    assert loaded.generation_config.pad_token_id == ends[1]
    assert loaded.generation_config.do_sample
    assert loaded.generation_config.temperature == TEMPERATURE


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    fast = Tokenizer.from_file(str(model() / "tokenizer.json"))
    slow = AutoTokenizer.from_pretrained(model())
    ids = fast.encode(text).ids
    assert fast.decode(ids) == text
    assert slow(text)["input_ids"] == ids
    assert slow.decode(ids) == text


def test_tags_survive_when_special_tokens_are_skipped() -> None:
    tokenizer = Tokenizer.from_file(str(model() / "tokenizer.json"))
    ids = tokenizer.encode("<think>\n</think><tool_call></tool_call><|im_end|>").ids
    assert tokenizer.decode(ids) == "<think>\n</think><tool_call></tool_call>"


def test_the_template_is_the_one_in_the_recipe() -> None:
    source = Path(model().parent / "recipe" / "chat_template.jinja")
    assert (model() / "chat_template.jinja").read_bytes() == source.read_bytes()
