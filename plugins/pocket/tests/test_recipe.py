"""The recipe: seeded, honest about what it holds out, and complete."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from enginebay_pocket.recipe import __main__ as commands
from enginebay_pocket.recipe import score
from enginebay_pocket.recipe.cases import cases
from enginebay_pocket.recipe.conversations import conversations
from enginebay_pocket.recipe.heldout import cities, names, questions
from enginebay_pocket.recipe.phrases import normalise, table
from enginebay_pocket.recipe.train import Settings, build, fit, learn_tokenizer


@dataclass(frozen=True)
class Tiny(Settings):
    """The recipe, small enough to run in a test."""

    steps: int = 6
    drills: int = 2
    short: int = 2
    batch: int = 512
    hidden: int = 128
    layers: int = 1
    intermediate: int = 64
    lexicon: int = 300


def test_the_corpus_is_seeded() -> None:
    assert list(islice(conversations(3), 50)) == list(islice(conversations(3), 50))
    assert list(islice(conversations(3), 50)) != list(islice(conversations(4), 50))


def test_the_corpus_holds_nothing_of_the_score() -> None:
    drawn = list(islice(conversations(Settings.seed + 1), 4000))
    texts = [
        one["content"] for talk in drawn for one in talk.messages if one["role"] in ("user", "tool")
    ]
    assert not questions() & {normalise(text) for text in texts}
    assert not [text for text in texts if any(city in text for city in cities())]
    assert not names() & {tool["function"]["name"] for talk in drawn for tool in talk.tools}


@pytest.mark.parametrize("kind", ["weather", "calculator", "clock"])
def test_tools_of_the_score_are_new(kind: str) -> None:
    held, known = table("heldout")["tools"][kind], table("tools")[kind]
    assert not set(held["names"]) & set(known["names"])
    assert not set(held["descriptions"]) & set(known["descriptions"])


def test_training_is_seeded() -> None:
    tokenizer = learn_tokenizer(Tiny())
    first, second = (fit(build(tokenizer, Tiny()), tokenizer, Tiny(), print) for _ in range(2))
    assert first == second


def test_the_commands_work_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "Settings", Tiny)
    monkeypatch.setattr(score, "cases", lambda: cases()[::100])
    made = str(tmp_path / "made")
    assert commands.main(["train", "--out", made, "--steps", "2"]) == 0
    assert "step 2/2" in capsys.readouterr().out
    assert "| all |" in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert commands.main(["score", "--model", made, "--json"]) == 0
    assert '"category": "all"' in capsys.readouterr().out
