"""Parsers are chosen by what a model's own chat template writes, or by the config."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.conftest import TOY, Config, Running, running

from enginebay_core.api import ConfigError, Conversation, Message, ToolCall
from enginebay_core.config import ModelConfig
from enginebay_core.text import ByteTokenizer, HuggingFaceTokenizer, hf_tokenizer, probe_template
from enginebay_server.config import load_settings
from enginebay_server.parsers import TOOL_PARSERS, CallReading, choose_dialect, joined, open_reader

CORE_TESTS: Final = Path(__file__).parents[2] / "core" / "tests" / "text" / "conftest.py"


def _core_conftest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("core_text_checkpoints", CORE_TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE: Final = _core_conftest()
_KIND, _TEMPLATE, _SPECIAL, _ADDED = MADE.STYLES["mistral"]
MADE.STYLES["mistral v11"] = (_KIND, _TEMPLATE, [*_SPECIAL, "[ARGS]"], _ADDED)

AUTO = ModelConfig(model="any")
ARGUMENTS = '{"song": "la \\"la\\" 巴黎 }", "times": 3}'
USER = Message("user", "Sing")
CALL = Message("assistant", None, tool_calls=(ToolCall("abcdefgh1", "sing", ARGUMENTS),))
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "sing",
        "parameters": {"properties": {"song": {"type": "string"}, "times": {"type": "integer"}}},
    },
}

CODER = """{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>
<function={{ c.function.name }}>
{% for key, value in c.function.arguments|items %}<parameter={{ key }}>
{{ value if value is string else value|tojson }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}{% else %}{{ m.content }}{% endif %}<|im_end|>
{% endfor %}<|im_start|>assistant
{# tools #}{{ tools|tojson if false }}"""
MISTRAL_NAMES = """<s>{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}\
[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments|tojson }}{% endfor %}</s>\
{% else %}[INST]{{ m.content }}[/INST]{% endif %}{% endfor %}"""
DEEPSEEK_TEXT = """{{ bos_token }}{% for m in messages %}{% if m.tool_calls %}\
<｜Assistant｜></think><｜tool▁calls▁begin｜>{% for c in m.tool_calls %}\
{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' }}\
{{ c.function.arguments + '<｜tool▁call▁end｜>' }}{% endfor %}<｜tool▁calls▁end｜>\
{% else %}<｜User｜>{{ m.content }}{% endif %}{% endfor %}<｜Assistant｜></think>"""
CHECKPOINTS: dict[str, tuple[str, str | None, str]] = {
    # its tokenizer, its template where it is another than the tokenizer's own, the parser
    "qwen3": ("qwen3", None, "hermes"),
    "qwen3 template, no control tokens": ("llama3", "qwen3", "hermes"),
    "qwen3-coder": ("qwen3", CODER, "qwen3_coder"),
    "llama3": ("llama3", None, "llama3"),
    "mistral": ("mistral", None, "mistral"),
    "mistral, names": ("mistral v11", MISTRAL_NAMES, "mistral"),
    "deepseek v3": ("deepseek", None, "deepseek"),
    "deepseek v3.1": ("deepseek", DEEPSEEK_TEXT, "deepseek"),
    "llama2": ("llama2", None, "none"),
    "gemma": ("gemma", None, "none"),
}


def checkpoint(name: str, directory: Path) -> HuggingFaceTokenizer:
    style, template, _ = CHECKPOINTS[name]
    MADE.make_checkpoint(style, directory)
    if template in MADE.STYLES:
        shutil.copy(MADE.TEMPLATES / f"{template}.jinja", directory / "chat_template.jinja")
    elif template is not None:
        (directory / "chat_template.jinja").write_text(template, encoding="utf-8")
    return hf_tokenizer.load(directory)


@pytest.fixture(scope="module", params=CHECKPOINTS)
def named(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, HuggingFaceTokenizer]:
    directory = tmp_path_factory.mktemp("dialects") / "checkpoint"
    return request.param, checkpoint(request.param, directory)


def test_the_parser_is_that_of_the_template(named: tuple[str, HuggingFaceTokenizer]) -> None:
    name, tokenizer = named
    assert choose_dialect(tokenizer, AUTO).names()["tool_parser"] == CHECKPOINTS[name][2]


def test_what_the_template_writes_is_read_back(named: tuple[str, HuggingFaceTokenizer]) -> None:
    """With a real tokenizer's tokens, one by one and all at once."""
    _, tokenizer = named
    dialect = choose_dialect(tokenizer, AUTO)
    if dialect.tools is None:
        pytest.skip("its template writes no calls")
    asked = tokenizer.render(Conversation((USER,), (TOOL,)))
    called = tokenizer.render(Conversation((USER, CALL), (TOOL,)))
    pairs = enumerate(zip(asked.ids, called.ids, strict=False))
    start = next((n for n, (one, other) in pairs if one != other), len(asked.ids))
    answers = []
    for size in (1, 1000):
        reader = open_reader(
            tokenizer,
            dialect,
            called.ids[:start],
            calls=CallReading({"sing": TOOL["function"]["parameters"]}, only_one=True),
        )
        ids = called.ids[start:]
        part = reader.push(ids[:size])
        for place in range(size, len(ids), size):
            part = joined(part, reader.push(ids[place : place + size]))
        answers.append("".join(call.arguments for call in part.calls))
        assert [call.name for call in part.calls if call.id] == ["sing"]
        assert part.stopped
    assert answers[0] == answers[1]
    assert json.loads(answers[0]) == json.loads(ARGUMENTS)


@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["Hello", " world", "\n", "  ", "天气", "🎉", "<", "tool", "_call>", "."])
    ),
    stop=st.sampled_from([(), (" world",), ("天", "\n\n"), ("<tool", "o w"), ("lo  w", "🎉")]),
)
def test_an_answer_without_calls_is_what_it_is_without_tools(
    named: tuple[str, HuggingFaceTokenizer], words: list[str], stop: tuple[str, ...]
) -> None:
    _, tokenizer = named
    dialect = choose_dialect(tokenizer, AUTO)
    ids = tokenizer.encode("".join(words))
    answers = []
    for calls in (None, CallReading({})):
        reader = open_reader(tokenizer, dialect, (), stop=stop, calls=calls)
        part = reader.push(ids)
        part = part if part.stopped else joined(part, reader.flush())
        answers.append((part.content, part.settled, part.stopped, part.calls))
    if "<tool_call>" not in answers[0][0]:
        assert answers[0] == answers[1]


def test_arguments_are_an_object_or_text_as_the_template_wants(tmp_path: Path) -> None:
    text = checkpoint("deepseek v3.1", tmp_path / "text")
    assert ARGUMENTS in text.render(Conversation((USER, CALL))).text
    assert probe_template(text).tool_calls
    objects = checkpoint("deepseek v3", tmp_path / "objects")
    assert ARGUMENTS in objects.render(Conversation((USER, CALL))).text


def test_a_tokenizer_without_tags_has_no_parsers() -> None:
    assert choose_dialect(ByteTokenizer(), AUTO).names() == {
        "tool_parser": "none",
        "reasoning_parser": "none",
    }


def test_the_config_chooses(tmp_path: Path) -> None:
    tokenizer = checkpoint("qwen3", tmp_path / "checkpoint")
    for parser in [*TOOL_PARSERS, "none"]:
        config = AUTO.model_copy(update={"tool_parser": parser})
        assert choose_dialect(tokenizer, config).names()["tool_parser"] == parser
    quiet = AUTO.model_copy(update={"reasoning_parser": "none"})
    assert choose_dialect(tokenizer, quiet).thinking is None
    other = AUTO.model_copy(update={"reasoning_parser": "mistral"})
    with pytest.raises(ConfigError, match=r"\[THINK\]"):
        choose_dialect(tokenizer, other)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"tool_parser": "hermess"}, "did you mean 'hermes'"),
        ({"reasoning_parser": "xyz"}, "there are think"),
        ({"template_kwargs": ["messages"]}, "'messages'"),
        ({"template_kwargs": ["no name"]}, "'no name'"),
    ],
)
def test_a_wrong_choice_is_known_before_anything_loads(setting: Config, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(None, {"models": {"toy": {**TOY, **setting}}})


def test_tags_that_a_tokenizer_lacks_fail_the_model_alone(
    start: Callable[[Config], Running],
) -> None:
    server = start({"models": {"toy": TOY, "bad": {**TOY, "reasoning_parser": "think"}}})
    assert server.post({"model": "toy", "messages": [{"role": "user", "content": "x"}]}).is_success
    assert "<think>" in str(server.models.entry("bad").reason)


@pytest.fixture(scope="module")
def pocket() -> Iterator[Running]:
    with running({}) as server:
        yield server


def test_the_models_page_says_it(pocket: Running, toys: Running) -> None:
    page = pocket.http.get(f"{pocket.url}/models/pocket").json()
    assert page["parsers"] == {"tool_parser": "hermes", "reasoning_parser": "think"}
    support = page["capabilities"]
    assert support["tools"] == support["reasoning_effort"] == {"support": "native"}
    choices = ["none", "auto", "required", "function", "allowed_tools"]
    assert support["tool_choice"] == {"support": "native", "values": choices}
    support = toys.http.get(f"{toys.url}/models/toy").json()["capabilities"]
    for field in ("tools", "tool_choice", "parallel_tool_calls", "reasoning_effort"):
        assert support[field]["support"] == "refused"
        assert "template" in support[field]["reason"]
