"""Where settings come from, which wins, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import ConfigError, PluginNotFound
from enginebay_server.config import Settings, config_schema, load_settings, unread_variables

TOY = {"backend": "toy", "model": "toy"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "enginebay.toml") -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def test_without_any_config_the_bundled_model_is_served() -> None:
    settings = load_settings(None, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert {name: m.model for name, m in settings.models.items()} == {"pocket": "pocket"}


def test_the_file_here_is_read_and_another_when_named() -> None:
    write("[server]\nport = 1\n")
    other = write("[server]\nport = 2\n", "other.toml")
    assert load_settings(None, {}).server.port == 1
    assert load_settings(other, {}).server.port == 2


def test_command_line_over_environment_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[server]\nport = 1\nhost = "::1"\nshutdown_seconds = 3\n')
    monkeypatch.setenv("ENGINEBAY_SERVER__PORT", "2")
    monkeypatch.setenv("ENGINEBAY_SERVER__SHUTDOWN_SECONDS", "4")
    settings = load_settings(None, {"server": {"port": 3}})
    assert settings.server.port == 3
    assert settings.server.shutdown_seconds == 4
    assert settings.server.host == "::1"


def test_a_model_can_be_merged_from_all_three(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[models.mine]\nbackend = "toy"\nmodel = "toy"\noptions = {max_sequences = 2}\n')
    monkeypatch.setenv("ENGINEBAY_MODELS__MINE__OPTIONS__MAX_LENGTH", "99")
    overrides = {"models": {"mine": {"aliases": ["gpt-4o-mini"]}}}
    [model] = load_settings(None, overrides).models.values()
    assert model.aliases == ["gpt-4o-mini"]
    assert {name: int(str(v)) for name, v in model.options.items()} == {
        "max_sequences": 2,
        "max_length": 99,
    }


def test_the_key_comes_from_the_environment_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENGINEBAY_SERVER__API_KEY", "sk-secret")
    settings = load_settings(None, {})
    assert settings.server.api_key is not None
    assert settings.server.api_key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(settings)
    assert "sk-secret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", r"server\.prot: unknown setting; did you mean 'port'"),
        ("[sever]\nport = 1", r"sever: unknown setting; did you mean 'server'"),
        ("[server]\nport = 70000", r"server\.port: .*70000"),
        ('[server]\nport = "many"', r"server\.port: .*'many'"),
        ("[models.x]\nmodle = 'y'", r"models\.x\.modle: unknown setting; did you mean 'model'"),
        ("[models.x]\nbackend = 'toy'", r"models\.x\.model: this setting is missing"),
        (
            "[models.x]\nbackend = 'toy'\nmodel = 'toy'\ndefaults = {temprature = 1}",
            r"models\.x\.defaults\.temprature: unknown setting; did you mean 'temperature'",
        ),
        (
            "[models.x]\nbackend = 'toy'\nmodel = 'toy'\noptions = {max_seqences = 1}",
            r"models\.x\.options\.max_seqences: unknown setting; did you mean 'max_sequences'",
        ),
        (
            "[models.x]\nbackend = 'toy'\nmodel = 'toy'\noptions = {max_sequences = 0}",
            r"models\.x\.options\.max_sequences: .*0",
        ),
        ("models = {}", "models: "),
        ("[server]\nauth = 'none'\napi_key = 'x'", "remove one of the two"),
        ("[server]\napi_key = ' '", "the key is empty"),
        ("[server", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_repair(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(write(text), {})


def test_a_missing_file_is_an_error_when_it_was_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load_settings(Path("nowhere.toml"), {})


def test_a_backend_nobody_has() -> None:
    with pytest.raises(PluginNotFound, match="did you mean 'toy'"):
        load_settings(None, {"models": {"x": {"backend": "toyy", "model": "toy"}}})


@pytest.mark.parametrize(
    "models",
    [
        {"a": {**TOY, "aliases": ["b"]}, "b": TOY},
        {"a": {**TOY, "aliases": ["c"]}, "b": {**TOY, "aliases": ["c"]}},
        {"a": {**TOY, "aliases": ["a"]}},
        {"": TOY},
        {"a\nb": TOY},
    ],
)
def test_names_must_be_usable_and_mean_one_model(models: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="models: "):
        load_settings(None, {"models": models})


def test_a_misspelled_section_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEBAY_SERVR__PORT", "1")
    with pytest.raises(ConfigError, match="did you mean ENGINEBAY_SERVER__PORT"):
        load_settings(None, {})


def test_a_misspelled_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEBAY_SERVER__PROT", "1")
    with pytest.raises(ConfigError, match="did you mean 'port'"):
        load_settings(None, {})


def test_a_flat_variable_is_never_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ENGINEBAY_PORT", "9")
    assert load_settings(None, {}).server.port == 8000
    assert "use ENGINEBAY_SERVER__PORT" in caplog.text


def test_what_kubernetes_sets_is_passed_over() -> None:
    pod = {
        "ENGINEBAY_PORT": "tcp://10.0.0.1:8000",
        "ENGINEBAY_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "ENGINEBAY_PORT_8000_TCP_PROTO": "tcp",
        "ENGINEBAY_PORT_8000_TCP_PORT": "8000",
        "ENGINEBAY_PORT_8000_TCP_ADDR": "10.0.0.1",
        "ENGINEBAY_SERVICE_HOST": "10.0.0.1",
        "ENGINEBAY_SERVICE_PORT": "8000",
        "ENGINEBAY_SERVICE_PORT_HTTP": "8000",
    }
    assert unread_variables(pod) == []
    [complaint] = unread_variables({"ENGINEBAY_API_KEY": "x"})
    assert "ENGINEBAY_SERVER__API_KEY" in complaint


def test_the_schema_knows_the_options_of_installed_backends() -> None:
    schema = config_schema()
    text = json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert "step_seconds" in text  # the toy's
    assert Settings.model_fields.keys() <= schema["properties"].keys()
