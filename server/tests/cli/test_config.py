"""The config as the command line shows and checks it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.plugins import BACKENDS

Run = Callable[..., Any]

FILE = """
[server]
port = 9000
api_key = "from the file"
[models."q.5"]
backend = "toy"
model = "toy"
options = { max_length = 64 }
"""


@pytest.fixture
def file(directory: Path) -> Path:
    written = directory / "enginebay.toml"
    written.write_text(FILE)
    return written


@pytest.mark.usefixtures("file")
def test_each_setting_has_its_source(enginebay: Run) -> None:
    shown = enginebay(
        *("config", "show", "--json", "--set", "server.shutdown_seconds=5"),
        ENGINEBAY_SERVER__HOST="127.0.0.2",
    ).json
    assert shown["file"] == "enginebay.toml"
    server = shown["settings"]["server"]
    assert (server["port"], server["host"], server["shutdown_seconds"]) == (9000, "127.0.0.2", 5)
    sources = shown["sources"]
    assert sources["server.port"] == "file"
    assert sources["server.host"] == "environment"
    assert sources["server.shutdown_seconds"] == "command line"
    assert sources["server.max_body_bytes"] == "default"
    assert sources['models."q.5".options.max_length'] == "file"
    assert sources['models."q.5".required'] == "default"
    assert not [key for key in sources if "pocket" in key]


@pytest.mark.usefixtures("file")
def test_command_line_over_environment_over_file(enginebay: Run) -> None:
    arguments = ("config", "show", "--json")
    over = ("--set", "server.port=1")
    environment = {"ENGINEBAY_SERVER__PORT": "2"}
    shown = [
        enginebay(*arguments).json,
        enginebay(*arguments, **environment).json,
        enginebay(*arguments, *over, **environment).json,
    ]
    assert [one["settings"]["server"]["port"] for one in shown] == [9000, 2, 1]
    sources = [one["sources"]["server.port"] for one in shown]
    assert sources == ["file", "environment", "command line"]


@pytest.mark.usefixtures("file")
def test_no_secret_is_shown(enginebay: Run) -> None:
    secrets = ("--set", 'models."q.5".options.hub_token=hf_secret')
    for more in ([], ["--json"]):
        done = enginebay("config", "show", *secrets, *more)
        assert done.code == 0
        assert "from the file" not in done.out
        assert "hf_secret" not in done.out
        assert done.out.count("**********") == 2


def test_without_anything_it_is_the_bundled_model(enginebay: Run) -> None:
    done = enginebay("config", "show")
    assert done.out.startswith("file: none\n")
    [line] = [line for line in done.out.splitlines() if "models.pocket.backend" in line]
    assert line.split() == ["models.pocket.backend", '"numpy"', "default"]
    [line] = [line for line in done.out.splitlines() if "models.pocket.placement" in line]
    assert line.split() == ["models.pocket.placement", '"process"', "default"]
    assert "note:" not in done.out


@pytest.mark.usefixtures("file")
def test_a_good_config_passes_with_what_should_be_known(enginebay: Run) -> None:
    done = enginebay("config", "check", ENGINEBAY_PORT="80", ENGINEBAY_FUN="1")
    assert done.code == 0
    assert "enginebay.toml can be served" in done.out
    assert "ENGINEBAY_PORT is not read; use ENGINEBAY_SERVER__PORT" in done.err
    assert "ENGINEBAY_FUN is not read" in done.err
    assert "server.api_key stands in the file" in done.err
    assert "inside the server's process" not in done.err


def test_what_inline_gives_up_is_said(enginebay: Run) -> None:
    inline = ["--set", "models.m.model=pocket", "--set", "models.m.placement=inline"]
    said = "models.m runs inside the server's process: when its backend crashes"
    assert said in enginebay("config", "check", *inline).err
    assert said in enginebay("config", "show", *inline).out
    refused = enginebay("config", "check", *inline, "--set", "models.m.python=python3")
    assert refused.code == 2
    assert "'python' is for placement 'process'" in refused.err


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[server]\nprot = 1", "server.prot: unknown setting; did you mean 'port'?"),
        ("[server]\nport = 70000", "server.port: "),
        ("[server", "is not TOML"),
        ('[server]\nhost = "0.0.0.0"', "no key is set"),
        ('[models.m]\nbackend = "tyo"\nmodel = "toy"', "did you mean 'toy'?"),
        (
            '[models.m]\nbackend = "toy"\nmodel = "toy"\noptions = { max_lenght = 1 }',
            "models.m.options.max_lenght: unknown setting; did you mean 'max_length'?",
        ),
    ],
)
def test_a_bad_config_is_refused_in_words(
    enginebay: Run, directory: Path, toml: str, said: str
) -> None:
    (directory / "bad.toml").write_text(toml)
    done = enginebay("config", "check", "--config", "bad.toml")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    checked = enginebay("config", "check", "--config", "bad.toml", "--json")
    assert checked.code == 2
    assert checked.json["ok"] is False
    assert said in checked.json["errors"][0]


def test_all_faults_are_told_at_once(enginebay: Run, directory: Path) -> None:
    (directory / "bad.toml").write_text(
        '[server]\nhost = "0.0.0.0"\n'
        '[models.a]\nbackend = "tyo"\nmodel = "toy"\n'
        '[models.b]\nbackend = "toy"\nmodel = "toy"\noptions = { x = 1 }'
    )
    checked = enginebay("config", "check", "-c", "bad.toml", "--json").json
    assert len(checked["errors"]) == 3


def test_what_only_harms_its_own_model_is_a_warning(
    enginebay: Run, directory: Path, install_plugin: Callable[..., None]
) -> None:
    install_plugin("eb_exits", "raise SystemExit('no licence')", BACKENDS, exits="eb_exits:Backend")
    (directory / "c.toml").write_text(
        '[server]\nhost = "0.0.0.0"\nauth = "none"\n'
        '[models.a]\nbackend = "exits"\nmodel = "toy"\n'
        '[models.b]\nbackend = "toy"\nmodel = "./nowhere"'
    )
    done = enginebay("config", "check", "-c", "c.toml", "--json")
    assert done.code == 0
    warnings = "\n".join(done.json["warnings"])
    assert "models.a cannot load" in warnings
    assert "no licence" in warnings
    assert "models.b cannot load: model './nowhere' is no directory" in warnings
    assert "everyone who reaches 0.0.0.0" in warnings


def test_the_schema_knows_the_options_of_backends(enginebay: Run) -> None:
    schema = enginebay("config", "schema").json
    assert "$schema" in schema
    rules = schema["$defs"]["ModelConfig"]["allOf"]
    [toy] = [rule for rule in rules if rule["if"]["properties"]["backend"]["const"] == "toy"]
    assert "max_length" in toy["then"]["properties"]["options"]["properties"]


def test_models_of_the_config_whether_or_not_their_backend_is_installed(
    enginebay: Run, directory: Path
) -> None:
    (directory / "enginebay.toml").write_text(
        '[models.a]\nbackend = "absent"\nmodel = "x/y"\naliases = ["gpt"]\n'
        '[models.b]\nbackend = "toy"\nmodel = "toy"\n'
    )
    listed = enginebay("models", "list", "--json").json
    keys = ("name", "aliases", "backend", "backend_installed", "model")
    first = dict(zip(keys, ("a", ["gpt"], "absent", False, "x/y"), strict=True))
    second = dict(zip(keys, ("b", [], "toy", True, "toy"), strict=True))
    assert listed["configured"] == [first, second]
    [toy] = [model for model in listed["installed"] if model["name"] == "toy"]
    assert toy["distribution"] == "enginebay-core"
    assert toy["version"]
    assert "absent (not installed)" in enginebay("models", "list").out
