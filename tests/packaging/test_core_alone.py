"""Core needs nothing but what it says, and its own tests pass there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, run, wheel

ABSENT = ("torch", "transformers", "fastapi", "uvicorn", "tokenizers", "jinja2", "enginebay_server")


@pytest.mark.environments  # all of core's tests a second time
@pytest.mark.timeout(600)
def test_core_alone_passes_its_own_tests(
    wheels: Path, make_venv: Callable[..., Path], tmp_path: Path
) -> None:
    core = f"enginebay-core[structured,testing] @ file://{wheel(wheels, 'enginebay-core')}"
    tools = ("pytest-asyncio", "pytest-timeout", "hypothesis")
    python = make_venv(core, *tools)
    shutil.copytree(ROOT / "core" / "tests", tmp_path / "core" / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # pytest's settings
    probe = f"import importlib.util as u; print([n for n in {ABSENT!r} if u.find_spec(n)])"
    assert run([str(python), "-c", probe], cwd=tmp_path).strip() == "[]"
    said = run([str(python), "-m", "pytest", "-q", "core/tests"], cwd=tmp_path)
    assert " passed" in said
    assert "failed" not in said
