"""``enginebay compare`` on toys: what it takes, what it says, and by which code it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from enginebay_core.api import ConfigError, RequestError
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_server.cli.questions import read_questions

from .conftest import Run

CONFIG = """
[models.toy]
backend = "toy"
model = "toy"
aliases = ["gpt-4o-mini"]
[models.short]
backend = "toy"
model = "toy"
options = { max_length = 40 }
[models.vectors]
backend = "toy"
model = "toy"
options = { task = "embed" }
[models.fails]
backend = "toy"
model = "toy"
options = { raise_at_step = 9 }
[models.unloadable]
backend = "toy"
model = "toy"
options = { fail_load = true }
"""
QUICK = ("--max-tokens", "8")


@pytest.fixture(autouse=True)
def config(directory: Path) -> None:
    (directory / "enginebay.toml").write_text(CONFIG)
    (directory / "few.txt").write_text("Hello!\n\nHow are you?\n")


def test_two_models_of_the_config_that_are_the_same(enginebay: Run) -> None:
    done = enginebay("compare", "toy", "gpt-4o-mini", "--prompts", "few.txt", *QUICK)
    assert done.code == 0, done.err
    assert "B passes for A: 2 same" in done.out
    assert "tokens/s" in done.out
    assert "toy: asking" in done.err


def test_a_model_is_told_from_itself(enginebay: Run) -> None:
    done = enginebay("compare", "toy", "toy", "--prompts", "few.txt", "--json", *QUICK)
    assert done.code == 0, done.err
    assert (done.json["a"]["name"], done.json["b"]["name"]) == ("toy (A)", "toy (B)")
    assert done.json["passed"]
    assert done.json["drift"]["worst"] == 0


def test_two_that_differ(enginebay: Run) -> None:
    asked = ("compare", "toy", "short", "--prompts", "few.txt", "--max-tokens", "24")
    done = enginebay(*asked)
    assert done.code == 1
    assert "B does not pass for A: 2 real" in done.out
    assert "B cannot follow A's answer past token 15" in done.out
    assert "2 of 2 answers differ by more than rounding (0 would do)" in done.out
    assert enginebay(*asked, "--allow", "2").code == 0


def test_backends_over_one_model_with_options_for_each(enginebay: Run) -> None:
    asked = ("compare", "toy", "toy", "--model", "toy", "--prompts", "few.txt", *QUICK, "--json")
    done = enginebay(*asked, "--option-a", "max_sequences=1", "--option-b", "max_length=40")
    assert done.code == 0, done.err
    assert done.json["a"]["context_length"] == 2048
    assert done.json["b"]["context_length"] == 40


def test_the_bundled_questions(enginebay: Run, directory: Path) -> None:
    done = enginebay("compare", "toy", "toy", "--json", "--max-tokens", "2")
    assert done.code == 0, done.err
    questions = [row["question"] for row in done.json["questions"]]
    assert len(questions) == 19
    assert done.json["counts"]["same"] == 19
    assert max(row["a"]["prompt_tokens"] for row in done.json["questions"]) > 1000  # in bytes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("toy", "gone"), "the config has no model 'gone'; it has toy, short"),
        (("toy", "toy", "--option-b", "max_length=4"), "it goes with --model alone"),
        (("toy", "toy", "-m", "toy", "-c", "enginebay.toml"), "either --config or --model"),
        (("toy", "toy", "--picture", "a.png"), "does not end in .svg"),
        (("toy", "toy", "--picture", "no/a.svg"), "no directory 'no'"),
        (("toy", "toy", "--prompts", "no.txt"), "cannot be read"),
        (("toy", "nothing", "-m", "toy"), "no backend named 'nothing' is installed"),
        (("toy", "toy", "-m", "nothing"), "'nothing' is no directory"),
        (("toy", "toy", "-m", "toy", "--option-b", "depth=4"), "unknown setting"),
        (("toy", "vectors"), "makes vectors"),
        (("toy", "unloadable"), "told to fail while loading"),
        (("toy", "fails"), "failed"),
        (("toy", "toy", "-m", "toy", "--min-speed", "x"), "--min-speed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_compared_is_no_difference(
    enginebay: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = enginebay("compare", *arguments, "--max-tokens", "2")
    assert done.code == 2
    assert said in " ".join(done.err.replace("│", " ").split())
    assert done.out == ""


def test_what_nobody_foresaw_is_no_difference_either(enginebay: Run, directory: Path) -> None:
    (directory / "few.svg").mkdir()
    asked = ("--prompts", "few.txt", "--picture", "few.svg")
    done = enginebay("compare", "toy", "toy", *asked, *QUICK)
    assert done.code == 2
    assert "IsADirectoryError" in done.err


def test_it_is_drawn(enginebay: Run, directory: Path) -> None:
    asked = ("--prompts", "few.txt", "--max-tokens", "24", "--picture", "it.svg")
    enginebay("compare", "toy", "short", *asked)
    drawing = ElementTree.parse(directory / "it.svg").getroot()
    texts = [one.text or "" for one in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "B does not pass for A: 2 real" in texts
    assert "Hello!" in texts
    cells = [one for one in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert len(cells) == 15 + 9  # what the short context leaves of each


def test_a_question_has_no_power_over_the_picture(enginebay: Run, directory: Path) -> None:
    (directory / "odd.txt").write_text("</text><script>&\x1b[31m\n")
    done = enginebay(
        "compare", "toy", "toy", "--prompts", "odd.txt", "--picture", "odd.svg", *QUICK
    )
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    drawing = ElementTree.parse(directory / "odd.svg").getroot()
    assert not list(drawing.iter("{http://www.w3.org/2000/svg}script"))


@pytest.fixture
def model() -> Iterator[RunningModel]:
    running = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield running
    running.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str, name: str = "questions.txt") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


def test_lines_are_texts_or_conversations(write: Callable[..., Path], model: RunningModel) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who are you?"},
    ]
    lines = ["  Hello!  ", json.dumps(turns), json.dumps({"messages": turns}), "[INST] what?", ""]
    text, one, other, odd = read_questions(write("\n".join(lines)))
    assert [one.title for one in (text, one, other, odd)] == [
        "Hello!",
        "Who are you?",
        "Who are you?",
        "[INST] what?",
    ]
    assert one.converse(model) == other.converse(model)
    assert [message.role for message in one.converse(model).messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert bytes(token for token in text.prompt(model) if token < 256).startswith(b"user\nHello!")


def test_what_a_model_cannot_be_told_is_refused_as_its_server_would(
    write: Callable[..., Path], model: RunningModel
) -> None:
    tool = {"type": "function", "function": {"name": "clock", "parameters": {}}}
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}
    [question] = read_questions(write(json.dumps(body)))
    with pytest.raises(RequestError, match="drops tools"):
        question.prompt(model)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("Hello!\n", "a.jsonl", "line 1 is not JSON"),
        ('{"prompt": "x"}', "a.txt", 'line 1 has no "messages"'),
        ('\n{"messages": [], "temperature": 1}', "a.txt", "line 2 has 'temperature'"),
        ('{"messages": [{"role": "king", "content": "x"}]}', "a.txt", "messages[0].role"),
        ("\n \n", "a.txt", "has no prompts"),
        ("3", "a.jsonl", 'has no "messages"'),
    ],
)
def test_a_line_that_is_neither_is_named(
    write: Callable[..., Path], text: str, name: str, said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        read_questions(write(text, name))
    assert said in str(raised.value)
