"""What a plugin says of its environment, read without importing it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from enginebay_core.api import ConfigError, PluginBroken, PluginNotFound
from enginebay_core.config import ModelConfig, parse
from enginebay_core.environments import environment_of, find_environment, interpreter_of
from enginebay_core.environments.own import find_own
from enginebay_core.environments.place import environments_root
from enginebay_core.placement import open_model, placement_of, process_is_installed

from .material import TOML, Declare

LOUD = "raise SystemExit('imported')"


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def test_reading_it_imports_nothing(declare: Declare) -> None:
    package = declare(code=LOUD)
    environment = find_environment("lone")
    assert environment.folder == package / "environment"
    assert environment.said.backends == ("lone",)
    assert environment.own == {"enginebay-core": "", "eb_lone": ""}
    assert environment_of("lone") == "lone"
    assert environment_of("numpy") is None
    assert "eb_lone" not in sys.modules


def test_what_an_index_delivers_and_what_comes_from_here(declare: Declare) -> None:
    declare(TOML.replace('"eb_lone"]\nimports', '"enginebay-numpy", "torch<3", "a[b]>1"]\nimports'))
    environment = find_environment("lone")
    assert environment.foreign == ["torch<3", "a[b]>1"]
    assert set(environment.own) == {"enginebay-core", "eb_lone", "enginebay-numpy"}


@pytest.mark.parametrize(
    ("toml", "pins", "reason"),
    [
        ("backends = 3", "", "backends"),
        ("backends = [", "", "environment.toml"),
        (TOML + "colour = 1", "", "colour"),
        (None, "", "cannot be read: No such file"),
        (TOML, None, "no constraints.txt"),
        (TOML.replace("eb_lone", "enginebay-numpy==1"), "", "come as they are here"),
        (TOML.replace('"eb_lone"]', '"<2"]', 1), "", "'<2' is no requirement"),
    ],
)
def test_files_that_make_no_sense_are_named(
    declare: Declare, toml: str | None, pins: str | None, reason: str
) -> None:
    declare(toml, pins=pins)
    with pytest.raises(PluginBroken, match=rf"environment 'lone' of 'eb_lone' 1.0 .*{reason}"):
        find_environment("lone")


NOT_MADE = r"models\.x .*'lone', which is missing.* Type: enginebay env create lone$"
needs_process = pytest.mark.skipif(
    not process_is_installed(), reason="needs enginebay-core[process]"
)


def test_an_environment_that_is_not_made_fails_with_the_command(declare: Declare) -> None:
    declare()
    with pytest.raises(ConfigError, match=NOT_MADE):
        interpreter_of("lone", "models.x")


@needs_process
@pytest.mark.parametrize(
    "settings", [{"backend": "lone"}, {"backend": "numpy", "environment": "lone"}], ids=str
)
def test_a_model_that_needs_it_fails_with_the_command(
    declare: Declare, home: Path, settings: dict[str, str]
) -> None:
    declare()
    config = parse(ModelConfig, {"model": "pocket", "placement": "process", **settings}, "x")
    with pytest.raises(ConfigError, match=NOT_MADE):
        open_model("x", config, quiet)


def test_an_environment_asks_for_a_process() -> None:
    config = parse(ModelConfig, {"model": "m", "backend": "toy", "environment": "lone"}, "x")
    assert placement_of(config) == "process"


@needs_process
def test_an_unknown_environment_is_named() -> None:
    config = parse(ModelConfig, {"model": "toy", "backend": "toy", "environment": "optimun"}, "x")
    with pytest.raises(PluginNotFound, match="no environment named 'optimun'"):
        open_model("x", config, quiet)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"placement": "inline", "environment": "a"}, "'environment' is for placement 'process'"),
        ({"python": "/p", "environment": "a"}, "both choose an interpreter"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse(ModelConfig, {"model": "m", **settings}, "models.x")


def test_they_lie_in_the_installation_that_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert environments_root() == tmp_path / "share" / "enginebay" / "environments"
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert environments_root() == tmp_path / "data" / "enginebay" / "environments"


def test_a_wheel_of_core_is_what_is_here(tmp_path: Path) -> None:
    own = find_own("enginebay-core")
    wheel = own.write_wheel(tmp_path)
    assert wheel.name == f"enginebay_core-{own.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        metadata = archive.read(f"enginebay_core-{own.version}.dist-info/METADATA").decode()
    here = own.packages["enginebay_core"]
    code = {f"enginebay_core/{path.relative_to(here)}" for path in here.rglob("*.py")}
    assert code < set(names)
    assert not [name for name in names if "__pycache__" in name]
    assert "Provides-Extra: process" in metadata


def test_content_follows_the_code_alone(declare: Declare) -> None:
    package = declare(code="x = 1\n")
    before = find_own("eb_lone").content
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert find_own("eb_lone").content == before
    (package / "__init__.py").write_text("x = 2\n")
    assert find_own("eb_lone").content != before
