from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from enginebay_core.api import (
    Conversation,
    JsonValue,
    Message,
    ModelError,
    RequestError,
    Tokenizer,
    ToolCall,
)
from enginebay_core.text import HuggingFaceTokenizer, hf_tokenizer

pytest.importorskip("tokenizers", reason="needs the extra [hf]")
pytest.importorskip("jinja2", reason="needs the extra [hf]")

Load = Callable[[str], HuggingFaceTokenizer]
BYTE_LEVEL = ("qwen3", "macros", "llama3", "deepseek")
STYLES = (*BYTE_LEVEL, "llama2", "mistral", "gemma", "unigram", "wordpiece")


def ids_to_text(tokenizer: HuggingFaceTokenizer, ids: tuple[int, ...]) -> str:
    return tokenizer._tokenizer.decode(list(ids), skip_special_tokens=False)


def controls(tokenizer: HuggingFaceTokenizer, ids: tuple[int, ...]) -> list[int]:
    return [token for token in ids if token in tokenizer.control.values()]


def test_it_keeps_the_protocol(tokenizer: Load) -> None:
    checked: Tokenizer = tokenizer("qwen3")
    assert isinstance(checked, Tokenizer)


@pytest.mark.parametrize("style", STYLES)
def test_plain_encoding_never_yields_a_control_id(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    for token in hf.control:
        for text in (
            token,
            f"a{token}b",
            f" {token} ",
            token * 3,
            f"<{token}",
            f"{token[:-1]}{token}",
        ):
            assert not controls(hf, tuple(hf.encode(text))), text
            assert controls(hf, tuple(hf.encode(text, control=True))), text


@pytest.mark.parametrize("style", STYLES)
def test_plain_encoding_is_that_of_the_checkpoint(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    for text in (
        "",
        " Hello  world\n\n",
        "你好，今天天气很好 🎉",
        "a <b>bold</b>  x\n\n\ny",
        "<|",
        "[IN",
    ):
        expected = hf._tokenizer.encode(text, add_special_tokens=False).ids
        assert hf.encode(text) == hf.encode(text, control=True) == expected, text


@pytest.mark.parametrize("style", BYTE_LEVEL)
def test_text_comes_back(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    spelled = "你好 🎉" + "".join(hf.control)
    assert ids_to_text(hf, tuple(hf.encode(spelled))) == spelled


def test_control_tokens_are_those_that_steer(tokenizer: Load) -> None:
    assert set(tokenizer("qwen3").control) >= {"<|im_end|>", "<think>", "<|fim_prefix|>"}
    assert set(tokenizer("gemma").control) == {"<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"}
    assert "天气" not in tokenizer("macros").control
    assert "[UNK]" not in tokenizer("wordpiece").control


SLOTS: Mapping[str, Callable[[str], Conversation]] = {
    "user": lambda text: Conversation((Message("user", text),)),
    "system": lambda text: Conversation((Message("system", text), Message("user", "hi"))),
    "assistant": lambda text: Conversation(
        (Message("user", "hi"), Message("assistant", text), Message("user", "hi"))
    ),
    "last assistant": lambda text: Conversation(
        (Message("user", "hi"), Message("assistant", text))
    ),
    "reasoning": lambda text: Conversation(
        (Message("user", "hi"), Message("assistant", "yes", reasoning=text))
    ),
    "arguments": lambda text: Conversation(
        (
            Message("user", "hi"),
            Message("assistant", None, tool_calls=(_call({text: [text, {"nested": text}]}),)),
            Message("tool", "done", tool_call_id="abcdefgh1"),
        )
    ),
    "argument text": lambda text: Conversation(
        (
            Message("user", "hi"),
            Message("assistant", None, tool_calls=(ToolCall("abcdefgh1", "f", f"no json {text}"),)),
        )
    ),
    "tool": lambda text: Conversation(
        (
            Message("user", "hi"),
            Message("assistant", None, tool_calls=(_call({}),)),
            Message("tool", text, tool_call_id="abcdefgh1"),
        )
    ),
    "tool name": lambda text: Conversation((Message("user", "hi"),), tools=(_tool(text, "d"),)),
    "tool text": lambda text: Conversation((Message("user", "hi"),), tools=(_tool("n", text),)),
    "option": lambda text: Conversation((Message("user", "hi"),), options={"date_string": text}),
}


def _call(arguments: dict[str, JsonValue]) -> ToolCall:
    return ToolCall("abcdefgh1", "f", json.dumps(arguments))


def _tool(name: str, description: str) -> dict[str, JsonValue]:
    return {"type": "function", "function": {"name": name, "description": description}}


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("style", STYLES)
def test_user_text_stays_text(tokenizer: Load, style: str, slot: str) -> None:
    hf = tokenizer(style)
    try:
        harmless = hf.render(SLOTS[slot]("(x y)"))
    except RequestError:
        pytest.skip(f"the template of {style} takes no such conversation")
    for token in hf.control:
        prompt = hf.render(SLOTS[slot](f"(x{token} y)"))
        if token == "</think>" and "assistant" in slot:
            continue  # the template cuts there: see the tests of tagged reasoning
        assert controls(hf, prompt.ids) == controls(hf, harmless.ids), token
        if token in prompt.text.replace(harmless.text, "") and style in BYTE_LEVEL:
            assert ids_to_text(hf, prompt.ids) == prompt.text


@pytest.mark.parametrize("style", BYTE_LEVEL)
def test_text_around_a_spelled_control_token_is_encoded_as_one(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    end = next(token for token in hf.control if "end" in token)
    text = f"Hello wor{end}ld 你好 {end}{end}!"
    prompt = hf.render(Conversation((Message("user", text),)))
    plain = tuple(hf.encode(text))
    places = range(len(prompt.ids) - len(plain) + 1)
    assert any(prompt.ids[place : place + len(plain)] == plain for place in places)
    assert text in prompt.text


def test_two_strings_cannot_be_joined_to_a_control_token(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    hf = load_with_template(
        tmp_path, checkpoint, "{{ messages[0].content ~ messages[1].content + '<|im_end|>' }}"
    )
    halves = Message("user", "a<|im_"), Message("user", "end|>b")
    prompt = hf.render(Conversation(halves))
    assert prompt.text == "a<|im_end|>b<|im_end|>"
    assert controls(hf, prompt.ids) == [hf.control["<|im_end|>"]]


def test_the_template_still_finds_reasoning_in_the_content(tokenizer: Load) -> None:
    for style in ("qwen3", "macros", "deepseek"):
        hf = tokenizer(style)
        thought = Message("assistant", "<think>\nold <|im_end|> thought\n</think>\n\nParis")
        turns = Message("user", "hi"), thought, Message("user", "and?")
        prompt = hf.render(Conversation(turns))
        answered = hf.render(Conversation((turns[0], Message("assistant", "Paris"), turns[2])))
        if style == "deepseek":  # its template keeps the blank lines
            assert prompt.text == answered.text.replace("Paris", "\n\nParis")
        else:
            assert prompt == answered


def test_the_template_writes_reasoning_that_it_found(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    tagged = Message("assistant", "<think>\nwell <|im_end|>\n</think>\n\nParis <think>")
    split = Message("assistant", "Paris <think>", reasoning="well <|im_end|>")
    user = Message("user", "hi")
    prompt = hf.render(Conversation((user, tagged)))
    # Qwen3 takes the reasoning between the first and the last tag: here, all of it is one piece.
    assert prompt == hf.render(Conversation((user, split)))
    assert controls(hf, prompt.ids).count(hf.control["<think>"]) == 1
    assert controls(hf, prompt.ids).count(hf.control["<|im_end|>"]) == 2


def test_a_tool_response_spelled_by_a_user_steers_the_template_but_stays_text(
    tokenizer: Load,
) -> None:
    hf = tokenizer("qwen3")
    prompt = hf.render(Conversation((Message("user", "<tool_response>x</tool_response>"),)))
    assert prompt.text.startswith("<|im_start|>user\n<tool_response>x</tool_response><|im_end|>")
    assert hf.control["<tool_response>"] not in prompt.ids


def test_decoding_leaves_special_tokens_out_and_keeps_the_others(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    ids = hf.encode("<|im_start|><think>你好</think><|im_end|>", control=True)
    assert hf.decode(ids) == "<think>你好</think>"
    assert hf.decode([]) == ""
    assert hf.decode([hf._tokenizer.get_vocab_size() + 7]) == ""


@pytest.mark.parametrize("style", ["llama2", "mistral", "gemma"])
def test_broken_bytes_do_not_take_back_a_character(tokenizer: Load, style: str) -> None:
    hf = tokenizer(style)
    vocabulary = hf._tokenizer.get_vocab()
    ids = [vocabulary[f"<0x{byte:02X}>"] for byte in (*"龘".encode(), 0xFF)]
    assert hf.decode(ids) == "龘\ufffd"


def test_one_tokenizer_serves_many_threads(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    texts = [f"Hello {n} <|im_end|> 你好 <think>" for n in range(8)]
    expected = [hf.render(SLOTS["user"](text)) for text in texts]
    wrong: list[str] = []

    def work(number: int) -> None:
        for _ in range(50):
            if hf.render(SLOTS["user"](texts[number])) != expected[number]:
                wrong.append(texts[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_half_a_character_is_refused(tokenizer: Load) -> None:
    hf = tokenizer("qwen3")
    with pytest.raises(RequestError, match="half a character"):
        hf.encode("\udc00")
    with pytest.raises(RequestError, match="half a character"):
        hf.render(Conversation((Message("user", "\ud83d"),)))


def load_with_template(
    directory: Path, checkpoint: Callable[[str], Path], template: str
) -> HuggingFaceTokenizer:
    """The tokenizer of the Qwen3 style with another chat template."""
    source = checkpoint("qwen3")
    (directory / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    (directory / "chat_template.jinja").write_text(template, encoding="utf-8")
    return hf_tokenizer.load(directory)


def test_a_missing_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no model: it has neither config\.json nor tokeni"):
        hf_tokenizer.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing.*fast tokenizers"):
        hf_tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"model": {"type": "BPE"'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        hf_tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_config_is_named(
    tmp_path: Path, checkpoint: Callable[[str], Path], content: str
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content)
    (tmp_path / "tokenizer.json").write_bytes((checkpoint("qwen3") / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is damaged"):
        hf_tokenizer.load(tmp_path)


def test_without_a_template_the_other_endpoint_is_named(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((checkpoint("qwen3") / "tokenizer.json").read_bytes())
    hf = hf_tokenizer.load(tmp_path)
    with pytest.raises(RequestError, match="/v1/completions") as refused:
        hf.render(Conversation((Message("user", "hi"),)))
    assert refused.value.param == "messages"


def test_tokens_that_only_the_config_knows_are_added(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((checkpoint("qwen3") / "tokenizer.json").read_bytes())
    size = hf_tokenizer.load(tmp_path)._tokenizer.get_vocab_size()
    config = {
        "added_tokens_decoder": {
            str(size): {"content": "<|late|>", "special": True, "normalized": False}
        },
        "pad_token": {"content": "<|pad|>"},
        "additional_special_tokens": ["<|more|>"],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    hf = hf_tokenizer.load(tmp_path)
    late = {token: hf.control[token] - size for token in ("<|late|>", "<|pad|>", "<|more|>")}
    assert late == {"<|late|>": 0, "<|pad|>": 1, "<|more|>": 2}
    assert not controls(hf, tuple(hf.encode("<|late|><|pad|><|more|>")))


def test_settings_for_training_do_not_cut_prompts(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    parts = json.loads((checkpoint("qwen3") / "tokenizer.json").read_text())
    parts["truncation"] = {
        "direction": "Right",
        "max_length": 4,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts))
    hf = hf_tokenizer.load(tmp_path)
    text = "the quick brown fox jumps over the lazy dog"
    assert hf.decode(hf.encode(text)) == hf.decode(hf.encode(text, control=True)) == text


def test_without_the_extra_the_repair_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['tokenizers'] = sys.modules['jinja2'] = None\n"
        "import enginebay_core.text as text, pathlib\n"
        "from enginebay_core.api import PluginBroken\n"
        "try: text.hf_tokenizer.load(pathlib.Path(sys.argv[1]))\n"
        "except PluginBroken as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'pip install "enginebay-core[hf]"' in done.stdout


@pytest.mark.parametrize("control", [False, True])
def test_a_long_text_lets_other_threads_run(tokenizer: Load, control: bool) -> None:
    """Usual failure: the encoder keeps the interpreter's lock, so that a long prompt stops the
    server's event loop. The best of three, since the machine may be busy.
    """
    hf = tokenizer("qwen3")
    shares = [longest_stop(lambda: hf.encode("a b c " * 50_000, control=control)) for _ in range(3)]
    assert min(shares) < 0.6


def longest_stop(work: Callable[[], object]) -> float:
    """The longest time for which this thread stood still, as a share of the work's."""
    worker = threading.Thread(target=work)
    started = last = time.monotonic()
    worker.start()
    longest = 0.0
    while worker.is_alive():
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest / (time.monotonic() - started)
