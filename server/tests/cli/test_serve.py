"""What the command line makes of its arguments before a server starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_server.cli.model_choice import model_tables, public_name
from enginebay_server.config import Settings

Run = Callable[..., Any]


def test_without_a_model_it_is_the_default_of_the_config() -> None:
    tables = model_tables(None, None, {})
    assert Settings.model_validate({"models": tables}) == Settings()
    assert list(tables) == ["pocket"]
    assert tables["pocket"]["backend"] == "numpy"


def test_another_backend_for_the_bundled_model() -> None:
    [table] = model_tables(None, "transformers", {"dtype": "float32"}).values()
    assert table == {
        "model": "pocket",
        "backend": "transformers",
        "options": {"dtype": "float32"},
    }


def test_a_model_takes_the_reference_backend() -> None:
    tables = model_tables("Qwen/Qwen3-0.6B", None, {})
    settings = Settings.model_validate({"models": tables})
    assert settings.models["Qwen/Qwen3-0.6B"].backend == "transformers"


def test_a_directory_is_known_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in ("mine", "./mine", "mine/", str(tmp_path / "mine")):
        assert public_name(path) == "mine"
    assert public_name("owner/name") == "owner/name"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("toy", "--config", "x.toml"), "give either --config or MODEL"),
        (("--config", "missing.toml"), "missing.toml cannot be read"),
        (("toy", "--backend", "tyo"), "did you mean 'toy'?"),
        (("toy", "--backend", "toy", "--option", "x=1"), "models.toy.options.x: unknown setting"),
        (("toy", "--backend", "toy", "--option", "x"), "'x' is not KEY=VALUE"),
        (("toy", "--backend", "toy", "--host", "0.0.0.0"), "no key is set"),
        (("--port", "65536"), "--port"),
        (("--set", "server.prot=1"), "did you mean 'port'?"),
    ],
)
def test_a_usage_or_config_error_is_one_message_and_exit_2(
    enginebay: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = enginebay("serve", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
