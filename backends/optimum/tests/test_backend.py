"""The part that lives beside the server: cheap to import, clear about what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from enginebay_core.api import Backend, ModelError
from enginebay_core.environments import environment_of, find_environment
from enginebay_optimum import OptimumBackend, OptimumExporter, OptimumOptions
from enginebay_optimum.libraries import NEEDED, installed_version


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def test_importing_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginebay_optimum as e; e.OptimumBackend(); e.OptimumOptions();"
        "e.OptimumExporter();"
        "heavy = {'onnxruntime', 'optimum', 'torch', 'transformers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_it_is_a_backend_whose_environment_is_declared() -> None:
    backend: Backend[OptimumOptions] = OptimumBackend()
    assert backend.options is OptimumOptions
    assert backend.tokenizer == "huggingface"
    assert environment_of("optimum") == "optimum"
    environment = find_environment("optimum")
    assert set(environment.own) == {"enginebay-core", "enginebay-optimum", "enginebay-numpy"}
    assert environment.foreign == []


def test_every_version_of_the_environment_is_pinned() -> None:
    lines = find_environment("optimum").constraints.read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(NEEDED) < set(pins)
    assert pins["transformers"].startswith("4.57.")
    assert "+" not in pins["torch"], "another build of the same version must do"


def test_without_the_environment_the_command_is_named(pocket: Path) -> None:
    """Here are other libraries, whichever they are."""
    try:
        here = installed_version("transformers").startswith("4.57.")
        found = here and bool(installed_version("optimum-onnx"))
    except ModelError:
        found = False
    if found:
        pytest.skip("this is the environment")
    with pytest.raises(ModelError, match="`enginebay env create optimum`"):
        OptimumBackend().load(pocket, OptimumOptions(), quiet)
    with pytest.raises(ModelError, match="`enginebay env create optimum`"):
        OptimumExporter().versions(pocket)


def test_every_option_is_described_and_unknown_ones_are_refused() -> None:
    fields = OptimumOptions.model_json_schema()["properties"]
    assert all(field.get("description") for field in fields.values())
    with pytest.raises(ValidationError, match="thread"):
        OptimumOptions.model_validate({"thread": 1})
