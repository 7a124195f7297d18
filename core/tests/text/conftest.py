"""Small checkpoints in the styles of well-known families, as directories on disk.

Tokenizers are trained here on a few sentences; templates, in ``templates/``, are our own, after
the manners of the family.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enginebay_core.text import HuggingFaceTokenizer, hf_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEMPLATES = Path(__file__).parent / "templates"

CORPUS = [
    "Hello world, what is the weather like in Paris today?",
    "The quick brown fox jumps over the lazy dog; the dog sleeps.",
    "你好！请介绍一下你自己。我是一个乐于助人的助手，今天天气很好。",
    "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))",
    '{"name": "get_weather", "arguments": {"city": "Paris"}}',
    "user assistant system tool think start end im header id eot model turn",
    "一二三四五六七八九十 🎉 café naïve Ωμέγα",
] * 3

STYLES: dict[str, tuple[str, str, list[str], list[str]]] = {
    # style: (how its tokenizer is made, template, special tokens, other added tokens)
    "qwen3": (
        "byte-level",
        "qwen3",
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        [
            "<think>",
            "</think>",
            "<tool_call>",
            "</tool_call>",
            "<tool_response>",
            "</tool_response>",
            "<|fim_prefix|>",
        ],
    ),
    "macros": (
        "byte-level",
        "macros",
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        ["<think>", "</think>", "  ", "天气"],
    ),
    "llama3": (
        "byte-level",
        "llama3",
        [
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ],
        [],
    ),
    "deepseek": (
        "byte-level",
        "deepseek",
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        [
            "<｜User｜>",
            "<｜Assistant｜>",
            "<think>",
            "</think>",
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁end｜>",
            "<｜tool▁sep｜>",
            "<｜tool▁output▁begin｜>",
            "<｜tool▁output▁end｜>",
        ],
    ),
    "llama2": ("prepend", "llama2", ["<unk>", "<s>", "</s>"], []),
    "mistral": (
        "metaspace",
        "mistral",
        [
            "<unk>",
            "<s>",
            "</s>",
            "[INST]",
            "[/INST]",
            "[TOOL_CALLS]",
            "[AVAILABLE_TOOLS]",
            "[/AVAILABLE_TOOLS]",
            "[TOOL_RESULTS]",
            "[/TOOL_RESULTS]",
        ],
        [],
    ),
    "gemma": (
        "replace",
        "gemma",
        ["<unk>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
        ["<b>", "\n\n", "▁▁"],
    ),
    "unigram": ("unigram", "llama2", ["<unk>", "<s>", "</s>"], []),
    "wordpiece": ("wordpiece", "gemma", ["[UNK]", "[CLS]", "[SEP]", "<start_of_turn>"], []),
}


def make_checkpoint(style: str, directory: Path) -> Path:
    kind, template, special, added = STYLES[style]
    tokenizer = _MAKERS[kind](special, added)
    directory.mkdir(parents=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    source = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8").removesuffix("\n")
    begin, end = (special[0], special[1]) if kind == "byte-level" else (special[1], special[2])
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": begin, "eos_token": end}
    if style in ("llama2", "gemma"):  # as older checkpoints have it
        config["chat_template"] = source
    else:
        (directory / "chat_template.jinja").write_text(source, encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


def _byte_level(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    words = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _with_added(tokenizer, special, added)


def _sentencepiece_bpe(special: list[str], added: list[str]) -> Tokenizer:
    """A BPE with byte fallback, its special and added tokens in its own vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(
        vocab_size=len(special + added) + 256 + 400,
        special_tokens=special + fallback + added,
        limit_alphabet=90,
        show_progress=False,
    )
    trained.train_from_iterator(CORPUS, trainer)
    model: dict[str, Any] = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    bpe = models.BPE(
        vocab=model["vocab"], merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
    )
    return Tokenizer(bpe)


def _fallback_decoder(*, strip: bool) -> Any:
    from tokenizers import decoders

    parts: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if strip else parts)


def _prepend(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import normalizers

    tokenizer = _sentencepiece_bpe(special, added)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = _fallback_decoder(strip=True)
    return _with_added(tokenizer, special, added)


def _metaspace(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import pre_tokenizers

    tokenizer = _sentencepiece_bpe(special, added)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = _fallback_decoder(strip=True)
    return _with_added(tokenizer, special, added)


def _replace(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import normalizers, pre_tokenizers

    tokenizer = _sentencepiece_bpe(special, added)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = _fallback_decoder(strip=False)
    return _with_added(tokenizer, special, added)


def _unigram(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _with_added(tokenizer, special, added)


def _wordpiece(special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _with_added(tokenizer, special, added)


def _with_added(tokenizer: Tokenizer, special: list[str], added: list[str]) -> Tokenizer:
    from tokenizers import AddedToken

    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in added])
    return tokenizer


_MAKERS: dict[str, Callable[[list[str], list[str]], Tokenizer]] = {
    "byte-level": _byte_level,
    "prepend": _prepend,
    "metaspace": _metaspace,
    "replace": _replace,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    pytest.importorskip("tokenizers", reason="needs the extra [hf]")
    pytest.importorskip("jinja2", reason="needs the extra [hf]")
    root = tmp_path_factory.mktemp("checkpoints")

    def make(style: str) -> Path:
        directory = root / style
        return directory if directory.exists() else make_checkpoint(style, directory)

    return make


@pytest.fixture(scope="session")
def tokenizer(checkpoint: Callable[[str], Path]) -> Callable[[str], HuggingFaceTokenizer]:
    loaded: dict[str, HuggingFaceTokenizer] = {}

    def load(style: str) -> HuggingFaceTokenizer:
        if style not in loaded:
            loaded[style] = hf_tokenizer.load(checkpoint(style))
        return loaded[style]

    return load
