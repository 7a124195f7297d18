from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from enginebay_core.api import Conversation, JsonValue, Message, ModelError, RequestError, ToolCall
from enginebay_core.text.checkpoint import read_settings
from enginebay_core.text.template_messages import template_messages
from enginebay_core.text.user_text import StandIns

pytest.importorskip("jinja2", reason="needs the extra [hf]")
from enginebay_core.text.template import ChatTemplate

USER: JsonValue = {"role": "user", "content": "hi"}


def render(source: str, **options: JsonValue) -> str:
    template = ChatTemplate(source, {"bos_token": "<s>"}, StandIns(["<s>"]))
    return template.render([USER], None, options)


def test_templates_get_what_transformers_gives_them() -> None:
    assert render("{{ bos_token }}{{ add_generation_prompt }}{{ tools }}") == "<s>TrueNone"
    assert render("  {% if true %}\n  a\n  {% endif %}\nb") == "  a\nb"
    assert (
        render("{% for x in [1, 2, 3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}")
        == "1"
    )
    assert render("{{ {'b': '<é>', 'a': 1} | tojson }}") == '{"b": "<é>", "a": 1}'
    assert render("{{ {'b': '<é>'} | tojson(ensure_ascii=true) }}") == '{"b": "<\\u00e9>"}'
    assert render("{{ [1, {'a': 2}] | tojson(indent=1) }}") == json.dumps([1, {"a": 2}], indent=1)
    assert render("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}") == (
        '{"a":2,"b":1}'
    )
    assert render("{{ strftime_now('%Y') }}") == str(datetime.now().year)
    assert render("{% generation %}{{ messages[0].content }}{% endgeneration %}!") == "hi!"
    assert render("{{ dict(a=1).a }}{{ dict.fromkeys(['k'], 2).k }}") == "12"
    assert render("{% set n = namespace(x=1) %}{% set n.x = n.x + 1 %}{{ n.x }}") == "2"


def test_options_come_before_special_tokens() -> None:
    assert render("{{ bos_token }}", bos_token="B") == "B"


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt"])
def test_options_cannot_replace_the_conversation(name: str) -> None:
    with pytest.raises(RequestError, match=f"'{name}'") as refused:
        render("x", **{name: []})
    assert refused.value.param == f"chat_template_kwargs.{name}"


def test_a_refusal_is_told_in_the_templates_words() -> None:
    with pytest.raises(RequestError, match="refuses these messages: no <s> here") as refused:
        render("{{ raise_exception('no <s> here') }}")
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].absent.field }}",
        "{{ messages[7].content }}",
        "{{ messages[0].content + 1 }}",
        "{{ none | tojson | length + 'a' }}",
        "{{ 1 / 0 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in range(10000000) %}{% endfor %}",
    ],
)
def test_a_template_that_fails_is_a_request_error(source: str) -> None:
    with pytest.raises(RequestError, match="cannot render these messages"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% set n = namespace() %}{% set n.__class__ = 1 %}",
        "{{ namespace(_x=1) }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    with pytest.raises((ModelError, RequestError)):
        render(source)


@pytest.mark.parametrize(
    "source", ["{{ messages[0].content.__class__ }}", "{{ '{0.__class__}'.format(1) }}"]
)
def test_what_the_sandbox_hides_is_undefined(source: str) -> None:
    assert render(source) == ""


def test_a_runaway_template_is_stopped() -> None:
    with pytest.raises(RequestError, match="more than 67108864 characters"):
        render("{% for x in range(90000) %}{{ 'xxxxxxxxxx' * 100 }}{% endfor %}")


def test_a_template_that_is_no_jinja_cannot_be_loaded() -> None:
    with pytest.raises(ModelError, match="line 2"):
        render("\n{% if %}")


def test_arguments_that_are_json_become_an_object() -> None:
    def arguments(text: str) -> object:
        call = ToolCall("id", "f", text)
        (message,) = template_messages(
            Conversation((Message("assistant", None, tool_calls=(call,)),))
        )
        return message["tool_calls"][0]["function"]["arguments"]  # type: ignore[index, call-overload]

    assert arguments('{"a": [1]}') == {"a": [1]}
    assert arguments("") == {}
    for text in ("[1]", '"a"', "{", "null", "[" * 100_000):
        assert arguments(text) == text


def test_absent_fields_are_left_out() -> None:
    messages = template_messages(
        Conversation(
            (
                Message("user", "a", name="Ann"),
                Message("assistant", None, reasoning="r", tool_calls=(ToolCall("i", "f", "{}"),)),
                Message("tool", "t", tool_call_id="i"),
            )
        )
    )
    assert [sorted(message) for message in messages] == [
        ["content", "name", "role"],
        ["reasoning_content", "role", "thinking", "tool_calls"],
        ["content", "role", "tool_call_id"],
    ]


def test_where_templates_are_found(tmp_path: Path) -> None:
    def found(config: dict[str, JsonValue]) -> dict[str, str]:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        return dict(read_settings(tmp_path).templates)

    assert found({}) == {}
    assert found({"chat_template": "T"}) == {"default": "T"}
    named: JsonValue = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]
    assert found({"chat_template": named}) == {"default": "D", "tool_use": "U"}
    (tmp_path / "chat_template.jinja").write_text("F\n")
    assert found({"chat_template": "T"}) == {"default": "F\n"}
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("G")
    assert found({"chat_template": "T"}) == {"default": "F\n", "tool_use": "G"}


def test_special_tokens_are_found_in_either_file(tmp_path: Path) -> None:
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": {"content": "</s>"}}')
    config = {"bos_token": "<s>", "pad_token": None, "image_token": "<img>", "add_bos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    special = read_settings(tmp_path).special
    assert special == {"bos_token": "<s>", "eos_token": "</s>", "image_token": "<img>"}


def test_the_template_for_tools_is_used_for_tools(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from enginebay_core.text import hf_tokenizer

    source = checkpoint("qwen3") / "tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(source.read_bytes())
    named = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    hf = hf_tokenizer.load(tmp_path)
    user = (Message("user", "hi"),)
    assert hf.render(Conversation(user)).text == "D"
    assert hf.render(Conversation(user, tools=({"type": "function"},))).text == "U"
