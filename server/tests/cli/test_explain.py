"""``enginebay explain``, as one runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

KEYS = {
    *("model", "backend", "request", "template", "prompt", "ids", "cut", "output", "stop_ids"),
    *("finish", "reasoning", "content", "completion", "stream", "files"),
}
TOY = ("--model", "toy", "--backend", "toy", "--max-tokens", "9")


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
