"""``docs/plugins.md`` is a working package: extracted, built, installed with core alone, proved."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.docs.pages import read
from tests.packaging.conftest import ROOT, pip, run, venv_with, wheel

from enginebay_core.api import StepBatch, StepRow
from enginebay_numpy import NumpyBackend, NumpyOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = ROOT / "docs" / "plugins.md"
POCKET = ROOT / "plugins" / "pocket" / "src" / "enginebay_pocket" / "model"
MODEL_ON_THE_PAGE = "path/to/a/qwen3"
BLOCK = re.compile(r"^```\w+\n# ([\w./-]+\.\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files_of(page: str) -> dict[str, str]:
    """Blocks that begin with a file's name, those of one file joined in the page's order."""
    files: dict[str, str] = {}
    for name, body in BLOCK.findall(page):
        files[name] = f"{files[name]}\n{body}" if name in files else body
    return files


@dataclass(frozen=True)
class Author:
    """An engine author's machine: the package's folder, and a Python with core and the package."""

    package: Path
    python: Path

    def run(self, *arguments: str) -> str:
        return run([str(self.python), *arguments], cwd=self.package)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("author") / "enginebay-mine"
    for name, body in files_of(PAGE.read_text(encoding="utf-8")).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body.replace(MODEL_ON_THE_PAGE, str(POCKET)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def author(package: Path, wheels: Path) -> Author:
    built = str(package.parent / "dist")
    build = ("wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", built)
    pip(Path(sys.executable), *build, str(package))
    core = f"enginebay-core[hf,testing] @ file://{wheel(wheels, 'enginebay-core')}"
    mine = wheel(Path(built), "enginebay-mine")
    return Author(package, venv_with(package.parent / "venv", core, mine))


def test_the_page_is_typed_and_tidy(package: Path) -> None:
    """A reader's own checks do not stumble over what was copied from here."""
    config = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    for check in (
        ("ruff", "check", *config, "src"),
        ("ruff", "format", "--check", *config, "src"),
        ("mypy", "--strict", "--cache-dir", "/dev/null", "src"),
    ):
        run([sys.executable, "-m", *check], cwd=package)


def test_the_pages_engine_computes_what_the_numpy_plugin_computes(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(package / "src"))
    mine = importlib.import_module("enginebay_mine")
    first = mine.MineBackend().load(POCKET, mine.MineOptions(), lambda *_: None)
    second = NumpyBackend().load(POCKET, NumpyOptions(), lambda *_: None)
    ids = tuple(range(100, 160))
    step = StepBatch((), (StepRow(1, 0, ids, "all"), StepRow(0, 0, ids[::-1], "last")))
    assert abs(first.forward(step) - second.forward(step)).max() < 1e-3


def test_the_venv_has_core_and_the_plugin_alone(author: Author) -> None:
    listed = pip(author.python, "list", "--format=freeze")
    names = {re.split("==| @ ", line)[0].lower() for line in listed.splitlines()}
    ours = {name for name in names if name.startswith("enginebay")}
    assert ours == {"enginebay-core", "enginebay-mine"}
    assert not names & {"torch", "transformers", "fastapi", "uvicorn"}


@pytest.mark.parametrize("backend", ["mine", "mine-parrot"])
def test_the_kit_proves_each_backend_of_the_page(author: Author, backend: str) -> None:
    author.run("-m", "enginebay_core.testing", backend, "--model", str(POCKET))


def test_the_three_line_class_passes(author: Author) -> None:
    outcome = author.run("-m", "pytest", "-p", "no:cacheprovider", "tests")
    assert re.search(r"\d+ passed", outcome), outcome
    assert "failed" not in outcome, outcome


@pytest.mark.environments  # most of it is pip, and the kit in two placements
def test_the_ci_of_the_kits_page_proves_it(package: Path, wheels: Path, tmp_path: Path) -> None:
    [job] = read("docs/contract-kit.md").blocks("yaml")
    assert len(job.splitlines()) == 15
    steps = re.findall(r"^ +- run: (.+)$", job, re.MULTILINE)
    assert len(steps) == 2
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    environment = {
        **os.environ,
        "CORE": f"file://{wheel(wheels, 'enginebay-core')}",
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    for step in steps:
        command = step.replace("tests/model", str(POCKET))
        run(["bash", "-ec", command], cwd=package, env=environment)
    report = json.loads((package / "contract.json").read_text())
    assert (report["version"], report["backend"]) == (1, "mine")
    assert {check["placement"] for check in report["checks"]} == {"inline", "process"}
    assert {field["proof"] for field in report["fields"].values()} == {"proved"}
