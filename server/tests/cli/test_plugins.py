"""Plugins that are whole, broken, deadly and doubly claimed, as strangers install them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.plugins import BACKENDS, TOKENIZERS

Run = Callable[..., Any]
InstallPlugin = Callable[..., None]

KEYS = {"kind", "group", "name", "distribution", "version", "target", "state", "reason"}


@pytest.fixture
def strangers(install_plugin: InstallPlugin) -> None:
    install_plugin("eb_exits", "raise SystemExit('no licence')", BACKENDS, exits="eb_exits:Backend")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    install_plugin("eb_crashes", crash, BACKENDS, crashes="eb_crashes:Backend")
    install_plugin("eb_leaves", "import os; os._exit(7)", TOKENIZERS, leaves="eb_leaves:load")
    install_plugin("eb_one", "Backend = dict", BACKENDS, twice="eb_one:Backend")
    install_plugin("eb_two", "Backend = dict", BACKENDS, twice="eb_two:Backend")


@pytest.mark.usefixtures("strangers")
def test_each_plugin_is_listed_with_its_reason_and_harms_no_other(process: Run) -> None:
    done = process("plugins", "list", "--json")
    assert done.code == 0
    plugins = done.json["plugins"]
    assert all(set(plugin) == KEYS for plugin in plugins)
    found = {(plugin["kind"], plugin["name"], plugin["distribution"]): plugin for plugin in plugins}
    assert found["backend", "toy", "enginebay-core"]["state"] == "ok"
    assert found["backend", "toy", "enginebay-core"]["reason"] is None
    assert found["tokenizer", "huggingface", "enginebay-core"]["state"] == "ok"
    exits = found["backend", "exits", "eb_exits"]
    assert (exits["state"], exits["version"]) == ("broken", "1.0")
    assert "no licence" in exits["reason"]
    assert "signal 11" in found["backend", "crashes", "eb_crashes"]["reason"]
    assert "(7)" in found["tokenizer", "leaves", "eb_leaves"]["reason"]
    for mine, other in (("eb_one", "eb_two"), ("eb_two", "eb_one")):
        twice = found["backend", "twice", mine]
        assert twice["state"] == "conflict"
        assert repr(other) in twice["reason"]
        assert repr(mine) not in twice["reason"]


def test_the_table_is_plain_when_piped(process: Run, install_plugin: InstallPlugin) -> None:
    reason = "very " * 40 + "[bold]broken[/bold]"
    install_plugin("eb_long", f"raise SystemExit({reason!r})", BACKENDS, long="eb_long:Backend")
    done = process("plugins", "list")
    assert done.code == 0
    assert "\x1b" not in done.out
    [line] = [line for line in done.out.splitlines() if " long " in line]
    assert line.split()[:3] == ["backend", "long", "broken"]
    assert line.endswith(reason)
    assert "trying" in done.err


def test_show_tells_a_backends_options(enginebay: Run) -> None:
    backend, model = enginebay("plugins", "show", "toy", "--json").json["plugins"]
    assert (backend["kind"], model["kind"]) == ("backend", "model")
    assert backend["tokenizer"] == "bytes"
    assert "options" not in model
    options = {option["name"]: option for option in backend["options"]}
    assert options["max_length"] == {
        "name": "max_length",
        "type": "integer >= 2",
        "required": False,
        "default": 2048,
        "description": "Ids per sequence, prompt and output.",
    }
    assert options["batching"]["type"] == "mixed | chunk | single"
    assert options["raise_at_step"]["type"] == "integer >= 1 | null"


def test_show_says_where_capabilities_are_told(enginebay: Run) -> None:
    done = enginebay("plugins", "show", "toy")
    assert done.code == 0
    assert "GET /v1/models/{id}" in done.out
    assert "max_sequences  integer >= 1 <= 4096" in done.out


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize(
    ("name", "reason"),
    [("exits", "no licence"), ("crashes", "signal 11"), ("twice", "'eb_two'")],
)
def test_show_says_why_one_does_not_load(enginebay: Run, name: str, reason: str) -> None:
    done = enginebay("plugins", "show", name)
    assert done.code == 1
    assert reason in done.out


def test_an_unknown_name_gets_a_suggestion(enginebay: Run) -> None:
    done = enginebay("plugins", "show", "tyo")
    assert (done.code, done.out) == (2, "")
    assert "'tyo'" in done.err
    assert "did you mean 'toy'?" in done.err


def test_check_proves_the_toy_and_reports(enginebay: Run, directory: Path) -> None:
    done = enginebay("plugins", "check", "toy", "--report", "toy.json")
    assert done.code == 0, done.out
    report = json.loads((directory / "toy.json").read_text())
    assert report


def test_check_fails_on_an_engine_that_fails(enginebay: Run) -> None:
    asked = ("--option", "raise_at_step=1", "--placement", "inline")
    done = enginebay("plugins", "check", "toy", *asked)
    assert done.code == 1
    assert "told to fail" in done.out


def test_check_of_nobody(enginebay: Run) -> None:
    done = enginebay("plugins", "check", "tyo")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'toy'?" in done.err


def test_check_without_pytest_says_what_to_install(process: Run, site: Path) -> None:
    hide = "import importlib.util as u; real = u.find_spec; "
    hide += "u.find_spec = lambda name, *rest: None if name == 'pytest' else real(name, *rest)"
    (site / "sitecustomize.py").write_text(hide)
    done = process("plugins", "check", "toy")
    assert done.code == 2
    assert 'pip install "enginebay-core[testing]"' in done.err
    assert "Traceback" not in done.err
