"""The tokenizer: byte-level BPE with Qwen3's control tokens."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 4096
CONTEXT = 2048
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
TEMPLATE = Path(__file__).parent / "chat_template.jinja"
# A capital starts a piece without its space, digits and ideographs stand alone: so names and
# numbers are the same pieces in a question and in JSON, and copying them generalises.
_PIECES = Regex(r"\p{Han}|\p{Lu}\p{Ll}*| ?[^\P{L}\p{Lu}\p{Han}]+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+")
# Nine letters: longer pieces would tie whole phrases to one token.
_LONGEST = 9


def train(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer that knows every byte and the commonest pieces of the texts."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(_PIECES, behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - 3 - len(TAGS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(iter(texts), trainer)
    tokenizer.add_special_tokens([_control(text, True) for text in (END_OF_TEXT, START, END)])
    tokenizer.add_tokens([_control(text, False) for text in TAGS])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write what Transformers needs to load the tokenizer and the chat template."""
    tokenizer.save(str(folder / "tokenizer.json"))
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(config, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def token_id(tokenizer: Tokenizer, text: str) -> int:
    """The id of a control token, which is always there."""
    found = tokenizer.token_to_id(text)
    assert found is not None
    return found


def _control(text: str, special: bool) -> AddedToken:
    return AddedToken(text, special=special, normalized=False)
