"""``enginebay export``: what goes wrong before anything is made."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from enginebay_core.api import EngineBayError, ModelError, PluginNotFound
from enginebay_server.cli.app import app


def export(*arguments: str) -> EngineBayError:
    error = CliRunner().invoke(app, ["export", *arguments]).exception
    assert isinstance(error, EngineBayError)
    return error


def test_a_format_that_nobody_offers_is_named(tmp_path: Path) -> None:
    error = export("toy", str(tmp_path / "out"), "--to", "gguf")
    assert isinstance(error, PluginNotFound)
    assert "no exporter named 'gguf' is installed" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = export("no-such-model", str(tmp_path / "out"), "--to", "onnx")
    assert isinstance(error, ModelError)
    assert "'no-such-model'" in str(error)


def test_the_format_must_be_said() -> None:
    done = CliRunner().invoke(app, ["export", "toy", "out"])
    assert done.exit_code == 2
    assert "--to" in done.output
